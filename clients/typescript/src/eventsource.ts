/**
 * `tidegate/eventsource`: the client with the face of an EventSource (WHATWG HTML 9.2), so that
 * `new EventSource(url)` becomes a Tidegate client by changing one import.
 *
 * It differs where the native one harms: it survives a status of 5xx, backs off, sees heartbeats,
 * and hands over. Like the native one it never gives up unless told to.
 */
import {SseClient} from './client.js'
import {CLOSED, CONNECTING, OPEN, type ReadyState} from './actions.js'
import {report, type ErrorListener} from './listeners.js'
import type {SseClientOptions, SseErrorEvent} from './options.js'

/** Options: the native ones and the client's. */
export interface EventSourceOptions extends SseClientOptions {
  readonly withCredentials?: boolean
}

type Handler<E extends Event> = ((this: EventSource, event: E) => unknown) | null

export class EventSource extends EventTarget {
  static readonly CONNECTING = CONNECTING
  static readonly OPEN = OPEN
  static readonly CLOSED = CLOSED
  readonly CONNECTING = CONNECTING
  readonly OPEN = OPEN
  readonly CLOSED = CLOSED

  /** The absolute URL. */
  readonly url: string
  readonly withCredentials: boolean
  onopen: Handler<Event> = null
  onmessage: Handler<MessageEvent> = null
  /** The event's `detail` says why, and whether and when it will be tried again. */
  onerror: Handler<Event & {detail?: SseErrorEvent}> = null

  readonly #client: SseClient
  readonly #heard = new Set<string>(['open', 'error'])
  readonly #origin: string
  readonly #onError: ErrorListener
  readonly #guards = new WeakMap<object, EventListener>()

  /** Connects at once. Throws a `SyntaxError` for an unusable URL, as the native one does. */
  constructor(url: string | URL, options: EventSourceOptions = {}) {
    super()
    const {withCredentials = false, ...rest} = options
    const full = resolve(url)
    this.url = full.href
    this.#origin = full.origin
    this.#onError = options.onListenerError ?? report
    this.withCredentials = withCredentials
    const credentials = withCredentials ? 'include' : 'same-origin'
    this.#client = new SseClient(full, {maxAttempts: Infinity, credentials, ...rest})
    this.#client.addEventListener('open', () => this.#fire(new Event('open'), this.onopen))
    this.#client.addEventListener('error', (detail) =>
      this.#fire(Object.assign(new Event('error'), {detail}), this.onerror)
    )
    this.#hear('message')
    this.#client.connect()
  }

  get readyState(): ReadyState {
    return this.#client.readyState
  }

  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions
  ): void {
    this.#hear(type)
    const guard = listener && (this.#guards.get(listener) ?? this.#guard(listener))
    if (guard) this.#guards.set(listener, guard)
    super.addEventListener(type, guard, options)
  }

  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions
  ): void {
    super.removeEventListener(type, (listener && this.#guards.get(listener)) ?? null, options)
  }

  /** Stop for good. */
  close(): void {
    this.#client.close()
  }

  #hear(type: string): void {
    if (this.#heard.has(type)) return
    this.#heard.add(type)
    this.#client.addEventListener<string>(type, (event) => {
      const {data, lastEventId} = event as {data: string; lastEventId: string}
      const message = new MessageEvent(type, {data, lastEventId, origin: this.#origin})
      this.#fire(message, type === 'message' ? this.onmessage : null)
    })
  }

  #fire<E extends Event>(event: E, handler: Handler<E>): void {
    const guard = handler && this.#guard(handler as EventListener)
    if (guard) super.addEventListener(event.type, guard, {once: true})
    this.dispatchEvent(event)
  }

  /** A browser reports what a listener throws and goes on; Node and Deno end the process. */
  #guard(listener: EventListenerOrEventListenerObject): EventListener {
    return (event) => {
      try {
        if (typeof listener === 'function') listener.call(this, event)
        else listener.handleEvent(event)
      } catch (error) {
        this.#onError(error)
      }
    }
  }
}

function resolve(url: string | URL): URL {
  try {
    return new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href)
  } catch {
    throw new DOMException(`not a URL: ${url}`, 'SyntaxError')
  }
}
