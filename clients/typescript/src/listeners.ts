/** Listeners by event type. One that throws harms neither the others nor the stream. */

/** What a listener may be called with; the caller knows which type goes with which event. */
export type Listener = (event: never) => void
export type Listeners = Map<string, Set<Listener>>

/** Hears what a listener threw. */
export type ErrorListener = (error: unknown) => void

/**
 * Tell those of the event's type, for as long as it is `wanted`. `onError` defaults to the global
 * `reportError`, where there is one, else the console.
 */
export function emit(
  listeners: Listeners,
  event: {readonly type: string},
  wanted: () => boolean,
  onError?: ErrorListener
): void {
  for (const listener of [...(listeners.get(event.type) ?? [])]) {
    if (!wanted()) return
    try {
      listener(event as never)
    } catch (error) {
      ;(onError ?? globalThis.reportError ?? console.error)(error)
    }
  }
}
