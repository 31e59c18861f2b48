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
export function guard<A>(
  call: (argument: A) => unknown,
  onError: ErrorListener = report,
  argument: A
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
  readonly type: string
  readonly listener: Listener
  readonly once: boolean | undefined
}

export class Listeners {
  /** Replaced, never changed: an event is emitted to those of its moment. */
  #entries: readonly Entry[] = []
  readonly #onError: ErrorListener | undefined

  constructor(onError?: ErrorListener) {
    this.#onError = onError
  }

  /** Whether there is one for a type that is `wanted`. */
  has(wanted: (type: string) => boolean): boolean {
    return this.#entries.some(({type}) => wanted(type))
  }

  /** Add, unless added. */
  add(type: string, listener: Listener, {once, signal}: ListenerOptions = {}): void {
    if (signal?.aborted || this.#find(type, listener)) return
    const entry = {type, listener, once}
    this.#entries = [...this.#entries, entry]
    signal?.addEventListener('abort', () => this.#drop(entry))
  }

  remove(type: string, listener: Listener): void {
    this.#drop(this.#find(type, listener))
  }

  /** Tell those of the event's type, for as long as it is `wanted`. */
  emit(event: {readonly type: string}, wanted: () => boolean): void {
    for (const entry of this.#entries) {
      // An earlier one may have removed it, or closed the client.
      if (entry.type !== event.type || !this.#entries.includes(entry) || !wanted()) continue
      if (entry.once) this.#drop(entry)
      guard(entry.listener, this.#onError, event as never)
    }
  }

  #find(type: string, listener: Listener): Entry | undefined {
    return this.#entries.find((entry) => entry.type === type && entry.listener === listener)
  }

  #drop(entry: Entry | undefined): void {
    this.#entries = this.#entries.filter((other) => other !== entry)
  }
}
