import {type FetchLike, SseClient, type SseEvent} from 'tidegate'
import {AcknowledgingSseClient} from 'tidegate/acknowledge'
import {EventSource} from 'tidegate/eventsource'
import {SharedSseClient} from 'tidegate/shared'
import {Agent, ProxyAgent, fetch as undiciFetch} from 'undici'

const dispatcher = new ProxyAgent('http://proxy:3128')
const proxied: FetchLike = (url, init) => undiciFetch(url, {...init, dispatcher})

new SseClient('http://x', {fetch: undiciFetch})
new SseClient(new URL('http://x'), {fetch: proxied})
new SseClient('http://x', {fetch: (url, init) => undiciFetch(url, {...init, dispatcher})})
// undici's own types are not always those that @types/node has of it.
const options: object = {dispatcher: new Agent()}
new SseClient('http://x', {fetch: (url, init) => fetch(url, {...init, ...options})})
new SseClient('http://x', {fetch: undiciFetch as unknown as typeof fetch})
new SseClient('http://x', {fetch})
new AcknowledgingSseClient('http://x?stream=s', {fetch: undiciFetch})
new SharedSseClient('http://x', {fetch: undiciFetch})
const source = new EventSource('http://x', {fetch: undiciFetch})
source.addEventListener('update', (event) => console.log(event.data))

export async function* follow(): AsyncGenerator<SseEvent> {
  for await (const event of new SseClient('http://x', {fetch: undiciFetch})) yield event
}
