// Written for the npm package `eventsource`, from its README; compiled for both.
import {
  ErrorEvent,
  EventSource,
  type EventSourceFetchInit,
  type EventSourceInit,
  type FetchLike,
  type FetchLikeResponse
} from 'eventsource'

const authorized: FetchLike = (input, init) =>
  fetch(input, {...init, headers: {...init.headers, Authorization: 'Bearer token'}})
const typed = (url: string | URL, init: EventSourceFetchInit): Promise<FetchLikeResponse> =>
  fetch(url, init as RequestInit)
const init: EventSourceInit = {fetch: authorized, withCredentials: true, maxBufferSize: 1 << 20}

const source = new EventSource(new URL('https://example.com/events'), init)
export const other = new EventSource('https://example.com/events', {fetch: typed})
source.addEventListener('notice', (event) => console.log(event.data))
source.addEventListener('notice', (event: MessageEvent<string>) => console.log(event.data))
source.addEventListener('error', (error) => console.log(error.code, error.message))
source.onerror = (error: ErrorEvent) => {
  if (error.code === 401 || error instanceof ErrorEvent) source.close()
}
source.onmessage = ({data, lastEventId}) => console.log(data, lastEventId)
source.removeEventListener('notice', () => undefined)
