/** Listeners by event type. One that fails harms neither the others nor the stream. */

import {isReserved} from './contract.js'
import type {EventOf} from './options.js'
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
  let done: unknown
  try {
    done = call(argument)
  } catch (error) {
    done = Promise.reject(error)
  }
  // Few listeners are asynchronous, and a promise for each event would cost more than it.
  if ((done as Partial<Promise<unknown>> | undefined)?.then) {
    Promise.resolve(done).catch(onError).catch(report)
  }
}

interface Entry {
  readonly type: string
  readonly listener: Listener
  readonly once: boolean | undefined
}

/** What has listeners, like an `EventTarget`. */
export class Listeners {
  /** Replaced, never changed: an event is emitted to those of its moment. */
  #entries: readonly Entry[] = []
  readonly #onError: ErrorListener | undefined

  constructor(onError: ErrorListener | undefined) {
    this.#onError = onError
  }

  /**
   * Listen to `open`, `error`, `message`, or any event by its name. A listener that throws, or
   * whose promise is rejected, harms none.
   */
  addEventListener<T extends string>(
    type: T,
    listener: (event: EventOf<T>) => void,
    options?: ListenerOptions | null
  ): void {
    const {once, signal} = options ?? {}
    if (signal?.aborted || this.#find(type, listener)) return
    const entry = {type, listener, once}
    this.#entries = [...this.#entries, entry]
    signal?.addEventListener('abort', () => this.#drop(entry))
  }

  /** Listen no more. */
  removeEventListener<T extends string>(type: T, listener: (event: EventOf<T>) => void): void {
    this.#drop(this.#find(type, listener))
  }

  /** Whether there is a listener for the application's events. */
  protected get heard(): boolean {
    return this.#entries.some(({type}) => !isReserved(type))
  }

  /** Tell those of the event's type, for as long as it is `wanted`. */
  protected emit(event: {readonly type: string}, wanted: () => boolean): void {
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
