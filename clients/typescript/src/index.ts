/**
 * `tidegate`: follow an event stream through failures and rolling updates.
 *
 * The face of an EventSource is in `tidegate/eventsource`, one stream for all tabs of a page in
 * `tidegate/shared`.
 */
export {SseClient, SseError} from './client.js'
export type {
  EventOf,
  FetchLike,
  HeadersSource,
  OpenEvent,
  SseClientOptions,
  SseErrorEvent,
  SseEvent
} from './client.js'
export {CLOSED, CONNECTING, OPEN} from './connector.js'
export type {LostReason, ReadyState, StopReason} from './connector.js'
