/**
 * `tidegate/eventsource`: the client with the interface of an EventSource (WHATWG HTML 9.2), so
 * that `new EventSource(url)` becomes a Tidegate client by changing one import.
 *
 * It differs where the native one harms: it survives a status of 5xx, backs off, sees heartbeats,
 * and hands over. Like the native one it never gives up unless told to, and closes at once where no
 * attempt can succeed. Its types fit lib.dom's `EventSource` and accept what the npm package
 * `eventsource` accepts.
 */
import {CLOSED, CONNECTING, OPEN} from './actions.js'
import type * as types from './eventsource-types.js'
import type {Callback, ErrorEventInit, EventSourceInit, Handler} from './eventsource-types.js'
import {type ErrorListener, guard, report} from './listeners.js'
import type {SseErrorEvent} from './options.js'
import {given} from './request.js'
import {createStream, type Stream} from './stream.js'
import type {UrlLike} from './web-types.js'

export type {
  ErrorEventInit,
  EventSourceConstructor,
  EventSourceEventMap,
  EventSourceInit,
  EventSourceOptions
} from './eventsource-types.js'
export type {
  FetchInit as EventSourceFetchInit,
  FetchLike,
  FetchResponse as FetchLikeResponse
} from './web-types.js'
export type ErrorEvent = types.ErrorEvent
export type EventSource = types.EventSource

export const ErrorEvent: {
  readonly prototype: ErrorEvent
  new (type: string, init?: ErrorEventInit): ErrorEvent
} = class extends Event {
  readonly code: number | undefined
  readonly message: string | undefined
  readonly detail: SseErrorEvent | undefined

  constructor(type: string, init: ErrorEventInit = {}) {
    super(type)
    this.code = init.code
    this.message = init.message
    this.detail = init.detail
  }
}

export const EventSource: types.EventSourceConstructor = class
  extends EventTarget
  implements EventSource
{
  static readonly CONNECTING = CONNECTING
  static readonly OPEN = OPEN
  static readonly CLOSED = CLOSED
  readonly CONNECTING = CONNECTING
  readonly OPEN = OPEN
  readonly CLOSED = CLOSED

  readonly url: string
  readonly withCredentials: boolean

  /** None where no attempt can succeed. */
  readonly #stream: Stream | undefined
  /** The types that were ever listened to: of others no event is made. */
  readonly #followed = new Set<string>()
  readonly #onError: ErrorListener
  readonly #calls = new WeakMap<object, EventListener>()
  readonly #handlers = new Map<string, (event: Event) => unknown>()
  readonly #handle = this.#guarded((event: Event) =>
    this.#handlers.get(event.type)!.call(this, event)
  )
  #failed: ReturnType<typeof setTimeout> | undefined

  constructor(url: string | UrlLike, init?: EventSourceInit | null) {
    super()
    const {withCredentials = false, maxBufferSize, ...rest} = init ?? {}
    const full = resolve(url)
    this.url = full.href
    this.#onError = rest.onListenerError ?? report
    this.withCredentials = withCredentials
    if (!rest.fetch && !canBeFetched(full)) {
      this.#failed = setTimeout(() => this.#fail())
      return
    }
    const {origin} = full
    const options = {
      maxAttempts: Infinity,
      credentials: withCredentials ? 'include' : 'same-origin',
      ...(maxBufferSize && {maxLineLength: maxBufferSize, maxEventLength: maxBufferSize}),
      ...given(rest)
    } as const
    // A stream and no client: between the two stands what loops take from, and here are none.
    this.#stream = createStream(full, options, {
      deliver: ({type, data, lastEventId}) => {
        if (!this.#followed.has(type)) return
        this.dispatchEvent(new MessageEvent(type, {data, lastEventId, origin}))
      },
      tell: (change) => {
        this.dispatchEvent(change.type === 'open' ? new Event('open') : errorEvent(change))
      },
      close: () => this.close()
    })
    this.#stream.start(options.lastEventId ?? '')
  }

  get readyState(): number {
    if (this.#stream) return this.#stream.readyState
    return this.#failed === undefined ? CLOSED : CONNECTING
  }

  get onopen(): Handler<'open'> {
    return this.#handlers.get('open') ?? null
  }

  set onopen(handler: Handler<'open'>) {
    this.#setHandler('open', handler)
  }

  get onmessage(): Handler<'message'> {
    return (this.#handlers.get('message') as Handler<'message'> | undefined) ?? null
  }

  set onmessage(handler: Handler<'message'>) {
    this.#setHandler('message', handler)
  }

  get onerror(): Handler<'error'> {
    return this.#handlers.get('error') ?? null
  }

  set onerror(handler: Handler<'error'>) {
    this.#setHandler('error', handler)
  }

  override addEventListener(
    type: string,
    listener: Callback | null,
    options?: boolean | AddEventListenerOptions
  ): void {
    if (!listener) return
    this.#followed.add(type)
    const call = this.#calls.get(listener) ?? this.#guarded(listener)
    this.#calls.set(listener, call)
    super.addEventListener(type, call, options)
  }

  override removeEventListener(
    type: string,
    listener: Callback | null,
    options?: boolean | EventListenerOptions
  ): void {
    // Node calls this itself, with the wrapped one, when the signal of a listener is aborted.
    const call = listener && (this.#calls.get(listener) ?? listener)
    super.removeEventListener(type, call, options)
  }

  close(): void {
    this.#stream?.stop()
    clearTimeout(this.#failed)
    this.#failed = undefined
  }

  #fail(): void {
    this.#failed = undefined
    const error = new TypeError(`no event stream can be fetched from ${this.url}`)
    const reason = 'invalid_request'
    const none = {willRetry: false, delayMs: 0, attempt: 0, status: 0}
    this.dispatchEvent(errorEvent({type: 'error', reason, error, ...none}))
  }

  #setHandler(type: string, handler: ((event: any) => unknown) | null): void {
    // As for native ones, anything else is none.
    if (typeof handler !== 'function') {
      this.#handlers.delete(type)
      return super.removeEventListener(type, this.#handle)
    }
    this.#followed.add(type)
    this.#handlers.set(type, handler)
    super.addEventListener(type, this.#handle)
  }

  /** A browser reports what a listener throws and goes on; Node and Deno end the process. */
  #guarded(listener: Callback): EventListener {
    const call =
      typeof listener === 'function'
        ? listener.bind(this)
        : (event: Event) => listener.handleEvent(event)
    return (event) => guard(call, this.#onError, event)
  }
}

function errorEvent(detail: SseErrorEvent): types.ErrorEvent {
  const {status, reason, error} = detail
  const message = error instanceof Error ? error.message : reason
  return new ErrorEvent('error', {code: status || undefined, message, detail})
}

/** Whether `fetch` takes the URL at all: not of another scheme, and not with credentials in it. */
function canBeFetched({protocol, username, password}: URL): boolean {
  return /^https?:$/.test(protocol) && !username && !password
}

function resolve(url: string | UrlLike): URL {
  try {
    return new URL(String(url), globalThis.document?.baseURI ?? globalThis.location?.href)
  } catch {
    throw new DOMException(`not a URL: ${url}`, 'SyntaxError')
  }
}
