/** Listeners by event type. One that throws harms neither the others nor the stream. */

/** What a listener may be called with; the caller knows which type goes with which event. */
export type Listener = (event: never) => void
export type Listeners = Map<string, Set<Listener>>

/** Hears what a listener threw. */
export type ErrorListener = (error: unknown) => void

/** To a page's `reportError`, else to the console: in Deno that function ends the process. */
export function report(error: unknown): void {
  ;((globalThis.document && globalThis.reportError) || console.error)(error)
}

/** Tell those of the event's type, for as long as it is `wanted`; `onError` hears what they throw. */
export function emit(
  listeners: Listeners,
  event: {readonly type: string},
  wanted: () => boolean,
  onError: ErrorListener = report
): void {
  for (const listener of [...(listeners.get(event.type) ?? [])]) {
    try {
      if (wanted()) listener(event as never)
    } catch (error) {
      onError(error)
    }
  }
}
