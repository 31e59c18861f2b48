// Written for a browser's EventSource; only the import is new.
import {EventSource} from 'tidegate/eventsource'

const source = new EventSource('/events?topic=news', {withCredentials: true})
source.onopen = function (event) {
  console.log(this.url, event.type)
}
source.onmessage = (event) => console.log(event.data, event.lastEventId, event.origin)
source.onerror = (event) => console.log(event.type, source.readyState === EventSource.CLOSED)
source.addEventListener('open', (event: Event) => console.log(event.type))
source.addEventListener('message', (event) => console.log(event.data))
source.addEventListener('update', (event) => console.log(event.data))
source.addEventListener('update', (event: MessageEvent<string>) => event.data.toUpperCase())
source.addEventListener('update', async ({data}) => void (await fetch(data)))
source.addEventListener('error', (event) => console.log(event.type))

const {signal} = new AbortController()
source.addEventListener('message', {handleEvent: (event: Event) => console.log(event)}, {signal})
const listener: EventListener = (event) => console.log((event as MessageEvent).data)
source.addEventListener('update', listener, {once: true})
source.addEventListener('update', null)
source.removeEventListener('update', listener, true)

export const native: globalThis.EventSource = source
export const target: EventTarget = source
export const Native: typeof globalThis.EventSource = EventSource
globalThis.EventSource = EventSource

export class Counted extends EventSource {
  count = 0

  override close(): void {
    console.log(this.count)
    super.close()
  }
}

// @ts-expect-error No such member.
source.open()
// @ts-expect-error An event has no such member.
source.addEventListener('update', (event) => console.log(event.body))
// @ts-expect-error No such option.
new EventSource('/events', {credentialed: true})
