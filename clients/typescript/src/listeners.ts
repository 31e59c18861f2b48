/** Listeners by event type. One that fails harms neither the others nor the stream. */

import type {WebAbortSignal} from './web-types.js'

/** What a listener may be called with; the caller knows which type goes with which event. */
export type Listener = (event: never) => void

/** As for an `EventTarget`: called once at most; removed when the signal aborts. */
export interface ListenerOptions {
  readonly once?: boolean | undefined
  readonly signal?: WebAbortSignal | undefined
}

/** Gets what a listener or a hook has thrown. */
export type ErrorListener = (error: unknown) => void

/** To a page's `reportError`, else to the console: in Deno that function ends the process. */
export function report(error: unknown): void {
  ;((globalThis.document && globalThis.reportError) || console.error)(error)
}

/**
 * Call what belongs to the application. What it throws, or its promise is rejected with, goes to
 * `onError`: a rejection that is not handled ends a process of Node.
 */
export function guard(call: () => unknown, onError: ErrorListener = report): void {
  const failed = (error: unknown) => {
    try {
      onError(error)
    } catch (worse) {
      report(worse)
    }
  }
  try {
    ;(call() as Promise<unknown> | undefined)?.then?.(undefined, failed)
  } catch (error) {
    failed(error)
  }
}

export class Listeners {
  readonly #byType = new Map<string, Map<Listener, ListenerOptions>>()

  /** The types that somebody listens to. */
  get types(): Iterable<string> {
    return this.#byType.keys()
  }

  /** Add, unless added. */
  add(type: string, listener: Listener, options: ListenerOptions = {}): void {
    const {signal} = options
    const own = this.#byType.get(type) ?? new Map<Listener, ListenerOptions>()
    if (signal?.aborted || own.has(listener)) return
    this.#byType.set(type, own.set(listener, options))
    signal?.addEventListener('abort', () => {
      // The same listener may have been removed and added anew.
      if (own.get(listener) === options) this.remove(type, listener)
    })
  }

  remove(type: string, listener: Listener): void {
    const own = this.#byType.get(type)
    if (own?.delete(listener) && !own.size) this.#byType.delete(type)
  }

  /** Tell those of the event's type, for as long as it is `wanted`. */
  emit(event: {readonly type: string}, wanted: () => boolean, onError?: ErrorListener): void {
    const own = this.#byType.get(event.type)
    if (!own) return
    for (const [listener, {once}] of [...own]) {
      // An earlier one may have removed it, or closed the client.
      if (!own.has(listener) || !wanted()) continue
      if (once) this.remove(event.type, listener)
      guard(() => listener(event as never), onError)
    }
  }
}
