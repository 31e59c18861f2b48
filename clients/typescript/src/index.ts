/**
 * `tidegate`: follow an event stream through failures and rolling updates.
 *
 * The face of an EventSource is in `tidegate/eventsource`, one stream for all tabs of a page in
 * `tidegate/shared`.
 */

export type {LostReason, ReadyState, StopReason} from './actions.js'
export {CLOSED, CONNECTING, OPEN} from './actions.js'
export {SseClient} from './client.js'
export type {ListenerOptions} from './listeners.js'
export type {
  EventOf,
  HeaderFields,
  HeadersSource,
  OpenEvent,
  SseClientOptions,
  SseErrorEvent,
  SseEvent
} from './options.js'
export {SseError} from './options.js'
export type {FetchInit, FetchLike, FetchResponse, WebBody as Body} from './web-types.js'
