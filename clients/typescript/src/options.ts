/** What an application sets and is told: options, events, the error at the end. */
import type {LostReason, StopReason} from './actions.js'
import type {Settings} from './decisions.js'
import type {ErrorListener} from './listeners.js'
import type {ParsedEvent} from './parser.js'
import type {FetchInit, FetchLike, WebAbortSignal, WebBody, WebHeaders} from './web-types.js'

/** An event from the server. */
export type SseEvent = ParsedEvent

/** The stream is open. */
export interface OpenEvent {
  readonly type: 'open'
}

/** The stream is lost for now (`willRetry`) or for good. */
export interface SseErrorEvent {
  readonly type: 'error'
  readonly reason: LostReason | StopReason
  readonly willRetry: boolean
  /** Milliseconds until the next attempt; 0 where there is none. */
  readonly delayMs: number
  /** Unplanned attempts used so far; a planned move and a bounce use none. */
  readonly attempt: number
  /** The HTTP status, 0 without a response. */
  readonly status: number
  /** What `fetch` or the header provider threw, or which loss used up the attempts, if any. */
  readonly error?: unknown
}

/** What a listener for `T` gets. */
export type EventOf<T extends string> = T extends 'open'
  ? OpenEvent
  : T extends 'error'
    ? SseErrorEvent
    : SseEvent

/**
 * The iteration's end when the client has given up. Its `cause` is what `fetch` or the header
 * provider threw, or says which loss used up the attempts.
 */
export class SseError extends Error {
  readonly reason: StopReason
  /** The HTTP status, 0 without a response. */
  readonly status: number

  constructor(reason: StopReason, status: number, cause?: unknown) {
    super(`stopped: ${reason}`, {cause})
    this.reason = reason
    this.status = status
  }
}

/** Request headers; names are merged without regard to case, `undefined` leaves one out. */
export type HeaderFields = WebHeaders | Readonly<Record<string, string | undefined>>

/**
 * Request headers, or what makes them anew for every attempt. `refused` is 401 or 403 where the
 * last ones were refused, else 0.
 */
export type HeadersSource =
  | HeaderFields
  | ((request: {refused: number}) => HeaderFields | Promise<HeaderFields>)

type Absent<T> = {readonly [Key in keyof T]?: T[Key] | undefined}

/** Options of an {@link SseClient}; everything has a default, which `undefined` stands for. */
export interface SseClientOptions extends Absent<Omit<Settings, 'renewable' | 'repeat'>> {
  readonly headers?: HeadersSource | undefined
  /** Default: `GET`, and `POST` where there is a body. */
  readonly method?: string | undefined
  readonly body?: WebBody | undefined
  readonly credentials?: FetchInit['credentials'] | undefined
  /** Closes the client when it aborts. */
  readonly signal?: WebAbortSignal | undefined
  /** Resume after this id. */
  readonly lastEventId?: string | undefined
  /** Longest line, in UTF-16 code units. */
  readonly maxLineLength?: number | undefined
  /** Most data of one event, in UTF-16 code units. */
  readonly maxEventLength?: number | undefined
  /** Default: the global one; bring your own for proxies or TLS. */
  readonly fetch?: FetchLike | undefined
  /** Gets every comment line, without its colon; heartbeats are empty ones. */
  readonly onComment?: ((comment: string) => void) | undefined
  /** Gets what a listener or a hook threw; default: a page's `reportError`, else the console. */
  readonly onListenerError?: ErrorListener | undefined
}
