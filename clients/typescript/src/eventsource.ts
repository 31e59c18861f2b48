/**
 * `tidegate/eventsource`: the client with the interface of an EventSource (WHATWG HTML 9.2), so
 * that `new EventSource(url)` becomes a Tidegate client by changing one import.
 *
 * It differs where the native one harms: it survives a status of 5xx, backs off, sees heartbeats,
 * and hands over. Like the native one it never gives up unless told to, and closes at once where no
 * attempt can succeed. Its types fit lib.dom's `EventSource` and accept what the npm package
 * `eventsource` accepts.
 */
import {
  CLOSED,
  CONNECTING,
  OPEN,
  SseClient,
  type SseClientOptions,
  type SseErrorEvent
} from './index.js'
import {type ErrorListener, guard, report} from './listeners.js'
import {given} from './request.js'
import type {
  UrlLike,
  WebAbortSignal,
  WebEvent,
  WebEventTarget,
  WebMessageEvent
} from './web-types.js'

export type {
  FetchInit as EventSourceFetchInit,
  FetchLike,
  FetchResponse as FetchLikeResponse
} from './web-types.js'

/** Options: the native ones, those of the npm package `eventsource`, and the client's. */
export interface EventSourceInit extends SseClientOptions {
  readonly withCredentials?: boolean
  /** Longest line and most data of one event in UTF-16 code units, where they are not set. */
  readonly maxBufferSize?: number
}

/** The options under their earlier name. */
export type EventSourceOptions = EventSourceInit

/** An `error` event, with the reason for it. */
export interface ErrorEvent extends WebEvent {
  /** The HTTP status, where a response is the reason. */
  readonly code?: number | undefined
  readonly message?: string | undefined
  /** Why, and whether and when there is another attempt. */
  readonly detail?: SseErrorEvent | undefined
}

/** Fields of an {@link ErrorEvent}. */
export type ErrorEventInit = Pick<ErrorEvent, 'code' | 'message' | 'detail'>

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

/** The events that every EventSource has. */
export interface EventSourceEventMap {
  error: ErrorEvent
  message: WebMessageEvent
  open: WebEvent
}

type Types = keyof EventSourceEventMap
type Handler<T extends Types> =
  | ((this: EventSource, event: EventSourceEventMap[T]) => unknown)
  | null
type Callback = ((event: any) => void) | {handleEvent(event: any): void}
type ListenerOptions = boolean | {readonly capture?: boolean}
type AddOptions =
  | boolean
  | {
      readonly capture?: boolean
      readonly once?: boolean
      readonly passive?: boolean
      readonly signal?: WebAbortSignal
    }

export interface EventSource extends WebEventTarget {
  readonly CONNECTING: 0
  readonly OPEN: 1
  readonly CLOSED: 2
  readonly readyState: number
  /** The absolute URL. */
  readonly url: string
  readonly withCredentials: boolean
  onopen: Handler<'open'>
  onmessage: Handler<'message'>
  onerror: Handler<'error'>

  /** A listener for any event by its name; an event of the server's is a `MessageEvent`. */
  addEventListener<T extends Types>(
    type: T,
    listener: (this: EventSource, event: EventSourceEventMap[T]) => unknown,
    options?: AddOptions
  ): void
  addEventListener(
    type: string,
    listener: (this: EventSource, event: WebMessageEvent) => unknown,
    options?: AddOptions
  ): void
  addEventListener(type: string, listener: Callback | null, options?: AddOptions): void

  removeEventListener<T extends Types>(
    type: T,
    listener: (this: EventSource, event: EventSourceEventMap[T]) => unknown,
    options?: ListenerOptions
  ): void
  removeEventListener(
    type: string,
    listener: (this: EventSource, event: WebMessageEvent) => unknown,
    options?: ListenerOptions
  ): void
  removeEventListener(type: string, listener: Callback | null, options?: ListenerOptions): void

  /** Stop for good. */
  close(): void
}

export interface EventSourceConstructor {
  readonly prototype: EventSource
  /** Connects at once. Throws a `SyntaxError` for an unusable URL, as the native one does. */
  new (url: string | UrlLike, init?: EventSourceInit): EventSource
  readonly CONNECTING: 0
  readonly OPEN: 1
  readonly CLOSED: 2
}

export const EventSource: EventSourceConstructor = class
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
  readonly #client: SseClient | undefined
  readonly #followed = new Set<string>(['open', 'error'])
  readonly #origin: string
  readonly #onError: ErrorListener
  readonly #calls = new WeakMap<object, EventListener>()
  readonly #handlers = new Map<string, (event: Event) => unknown>()
  readonly #handle = this.#guarded((event: Event) =>
    this.#handlers.get(event.type)!.call(this, event)
  )
  #failed: ReturnType<typeof setTimeout> | undefined

  constructor(url: string | UrlLike, init: EventSourceInit = {}) {
    super()
    const {withCredentials = false, maxBufferSize, ...rest} = init
    const full = resolve(url)
    this.url = full.href
    this.#origin = full.origin
    this.#onError = init.onListenerError ?? report
    this.withCredentials = withCredentials
    if (!init.fetch && !canBeFetched(full)) {
      this.#failed = setTimeout(() => this.#fail())
      return
    }
    this.#client = new SseClient(full, {
      maxAttempts: Infinity,
      credentials: withCredentials ? 'include' : 'same-origin',
      ...(maxBufferSize && {maxLineLength: maxBufferSize, maxEventLength: maxBufferSize}),
      ...given(rest)
    })
    this.#client.addEventListener('open', () => void this.dispatchEvent(new Event('open')))
    this.#client.addEventListener('error', (detail) => void this.dispatchEvent(errorEvent(detail)))
    this.#client.connect()
  }

  get readyState(): number {
    if (this.#client) return this.#client.readyState
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
    this.#follow(type)
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
    this.#client?.close()
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
    this.#follow(type)
    this.#handlers.set(type, handler)
    super.addEventListener(type, this.#handle)
  }

  #follow(type: string): void {
    if (this.#followed.has(type)) return
    this.#followed.add(type)
    const origin = this.#origin
    this.#client?.addEventListener<string>(type, (event) => {
      const {data, lastEventId} = event as {data: string; lastEventId: string}
      this.dispatchEvent(new MessageEvent(type, {data, lastEventId, origin}))
    })
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

function errorEvent(detail: SseErrorEvent): ErrorEvent {
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
