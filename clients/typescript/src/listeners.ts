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
export function guard(call: () => unknown, onError?: ErrorListener): void
export function guard<A>(call: (a: A) => unknown, onError: ErrorListener | undefined, a: A): void
export function guard(
  call: (argument?: unknown) => unknown,
  onError: ErrorListener = report,
  argument?: unknown
): void {
  try {
    const done = call(argument) as Promise<unknown> | undefined
    done?.then?.(undefined, (error) => failed(onError, error))
  } catch (error) {
    failed(onError, error)
  }
}

function failed(onError: ErrorListener, error: unknown): void {
  try {
    onError(error)
  } catch (worse) {
    report(worse)
  }
}

interface Entry {
  readonly listener: Listener
  readonly once: boolean | undefined
  removed?: boolean
}

export class Listeners {
  /** A list is replaced, never changed: an event is emitted to those of its moment. */
  readonly #byType = new Map<string, readonly Entry[]>()

  /** The types that somebody listens to. */
  get types(): Iterable<string> {
    return this.#byType.keys()
  }

  /** Add, unless added. */
  add(type: string, listener: Listener, {once, signal}: ListenerOptions = {}): void {
    const own = this.#byType.get(type) ?? []
    if (signal?.aborted || own.some((entry) => entry.listener === listener)) return
    const entry: Entry = {listener, once}
    this.#byType.set(type, [...own, entry])
    signal?.addEventListener('abort', () => this.#drop(type, entry))
  }

  remove(type: string, listener: Listener): void {
    for (const entry of this.#byType.get(type) ?? []) {
      if (entry.listener === listener) this.#drop(type, entry)
    }
  }

  /** Tell those of the event's type, for as long as it is `wanted`. */
  emit(event: {readonly type: string}, wanted: () => boolean, onError?: ErrorListener): void {
    for (const entry of this.#byType.get(event.type) ?? []) {
      // An earlier one may have removed it, or closed the client.
      if (entry.removed || !wanted()) continue
      if (entry.once) this.#drop(event.type, entry)
      guard(entry.listener, onError, event as never)
    }
  }

  #drop(type: string, entry: Entry): void {
    entry.removed = true
    const left = this.#byType.get(type)?.filter((one) => one !== entry)
    if (left?.length) this.#byType.set(type, left)
    else this.#byType.delete(type)
  }
}
