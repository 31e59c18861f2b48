/** The types of `tidegate/eventsource`, which fit those of lib.dom and of the npm package. */
import type {SseClientOptions, SseErrorEvent} from './options.js'
import type {
  UrlLike,
  WebAbortSignal,
  WebEvent,
  WebEventTarget,
  WebMessageEvent
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

/** The events that every EventSource has. */
export interface EventSourceEventMap {
  error: ErrorEvent
  message: WebMessageEvent
  open: WebEvent
}

export type Types = keyof EventSourceEventMap
export type Handler<T extends Types> =
  | ((this: EventSource, event: EventSourceEventMap[T]) => unknown)
  | null
export type Callback = ((event: any) => void) | {handleEvent(event: any): void}
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
