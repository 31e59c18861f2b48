// Without lib DOM and without @types/node; a program of old may also find its types so.
import {type FetchLike, SseClient, SseError, type SseEvent} from 'tidegate'
import {AcknowledgingSseClient} from 'tidegate/acknowledge'
import {EventSource} from 'tidegate/eventsource'
import {SharedSseClient} from 'tidegate/shared'

const empty: FetchLike = async (url, {headers, signal}) => {
  if (signal.aborted || !url.startsWith('http') || !headers['Accept']) throw new Error('no')
  return {status: 204, headers: {get: () => null}, body: null}
}

export async function follow(take: (event: SseEvent) => void): Promise<number> {
  const client = new SseClient('http://x', {fetch: empty, credentials: 'include'})
  try {
    for await (const event of client) take(event)
  } catch (error) {
    if (error instanceof SseError) return error.status
    throw error
  }
  return 0
}

const source = new EventSource('http://x', {fetch: empty})
source.onmessage = ({data, lastEventId}) => void [data, lastEventId]
source.addEventListener('update', (event) => event.data)
export const clients = [
  new AcknowledgingSseClient('http://x?stream=s', {fetch: empty}),
  new SharedSseClient('http://x', {fetch: empty})
]
