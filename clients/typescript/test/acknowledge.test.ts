/** Acknowledging on real sockets: what is handled is sent, the newest once, and again if it fails. */
import assert from 'node:assert/strict'
import {createServer, type ServerResponse} from 'node:http'
import type {AddressInfo} from 'node:net'
import {afterEach, test} from 'node:test'
import {type AcknowledgingOptions, AcknowledgingSseClient} from '../dist/acknowledge.js'
import {connected, event, until} from './server.js'

interface Ack {
  url: string
  id: string
  headers: Record<string, unknown>
}

const cleanups: (() => void | Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Streams to whoever asks, and answers acknowledgements with `statuses`, then 204. */
async function pod(...statuses: number[]) {
  const acks: Ack[] = []
  const streams = new Set<ServerResponse>()
  const held: (() => void)[] = []
  const state = {holding: false}
  const resumed: (string | undefined)[] = []
  const server = createServer(async (request, response) => {
    if (request.method === 'GET') {
      resumed.push(request.headers['last-event-id'] as string | undefined)
      response.writeHead(200, {'Content-Type': 'text/event-stream'})
      response.write(connected('a', 'e-0'))
      response.on('close', () => streams.delete(response))
      return void streams.add(response)
    }
    let body = ''
    for await (const part of request) body += part
    acks.push({url: request.url!, id: JSON.parse(body).id, headers: request.headers})
    if (state.holding) await new Promise<void>((resolve) => held.push(resolve))
    response.writeHead(statuses.shift() ?? 204).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    // Listening ends first: a connection that came between the two would hold the process.
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeAllConnections()
    return closed
  })
  const {port} = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}/sse/subscribe/42?stream=orders&topic=a`
  const write = (text: string) => {
    for (const stream of streams) stream.write(text)
  }
  const ids = () => acks.map(({id}) => id)
  return {acks, ids, url, write, streams, state, held, resumed}
}

function client(url: string, options: AcknowledgingOptions = {}): AcknowledgingSseClient {
  const fast = {acknowledgeEveryMs: 0, initialDelayMs: 10, handover: false}
  const made = new AcknowledgingSseClient(url, {...fast, ...options})
  cleanups.push(() => made.close())
  return made
}

async function opened(server: {streams: Set<ServerResponse>}): Promise<void> {
  await until(() => server.streams.size > 0, 'the stream')
}

test('a URL must name its stream', () => {
  for (const url of ['/events', '/sse/subscribe/42', '/s/42?stream=', '/s/42?stream=a%20b']) {
    assert.throws(() => new AcknowledgingSseClient(url), {
      name: 'RangeError',
      message: /stream=NAME/
    })
  }
  assert.throws(
    () => client('http://p/s/42?stream=a', {acknowledgeEveryMs: -1}),
    /acknowledgeEveryMs/
  )
  const made = client('http://p/sse/subscribe/42/?stream=a.b-c_1#x', {handover: true})
  assert.equal(made.acknowledgeUrl, 'http://p/sse/subscribe/42/ack?stream=a.b-c_1')
})

test('where a stream begins is acknowledged, and then what a listener has handled', async () => {
  const server = await pod()
  const sse = client(server.url)
  sse.addEventListener('message', () => {})
  sse.connect()
  await until(() => sse.acknowledged === 'e-0', 'the beginning')
  server.write(event('e-1'))
  await until(() => sse.acknowledged === 'e-1', 'the event')
  assert.equal(server.acks[0]?.url, '/sse/subscribe/42/ack?stream=orders&topic=a')
  assert.match(String(server.acks[0]?.headers['content-type']), /^text\/plain/)
})

test('an event counts when every listener is done, and all before it', async () => {
  const server = await pod()
  const sse = client(server.url)
  const finish: Record<string, () => void> = {}
  const heard: string[] = []
  sse.addEventListener('message', async ({lastEventId}) => {
    heard.push(lastEventId)
    await new Promise<void>((resolve) => (finish[lastEventId] = resolve))
  })
  sse.addEventListener('message', () => {})
  sse.addEventListener('other', () => {})
  sse.connect()
  await until(() => sse.acknowledged === 'e-0', 'the beginning')
  server.write(
    event('e-1') + event('e-2') + event('e-3', 'x', 'other') + event('e-3', '{}', 'cursor')
  )
  await until(() => heard.length === 2, 'both events')
  finish['e-2']!()
  assert.equal(await sse.flush(), true)
  assert.equal(sse.acknowledged, 'e-0')
  finish['e-1']!()
  await until(() => sse.acknowledged === 'e-3', 'all of them')
  assert.deepEqual(server.ids(), ['e-0', 'e-3'])
})

test('a quiet stream acknowledges the position it is told', async () => {
  const server = await pod()
  const sse = client(server.url)
  sse.addEventListener('message', () => {})
  sse.connect()
  await opened(server)
  server.write(event('e-7', '{}', 'cursor'))
  await until(() => sse.acknowledged === 'e-7', 'the position')
})

for (const how of ['throws', 'rejects']) {
  test(`what a listener ${how} at is not acknowledged, nor what follows`, async () => {
    const server = await pod()
    const errors: unknown[] = []
    const sse = client(server.url, {onListenerError: (error) => errors.push(error)})
    const heard: string[] = []
    sse.addEventListener('message', ({lastEventId}) => {
      heard.push(lastEventId)
      if (lastEventId !== 'e-2') return
      if (how === 'throws') throw new Error('no')
      return Promise.reject(new Error('no')) as never
    })
    sse.connect()
    await until(() => sse.acknowledged === 'e-0', 'the beginning')
    server.write(event('e-1'))
    await until(() => sse.acknowledged === 'e-1', 'the first')
    server.write(event('e-2') + event('e-3') + event('e-3', '{}', 'cursor'))
    await until(() => heard.length === 3, 'the rest')
    await sse.flush()
    assert.equal(errors.length, 1)
    sse.acknowledge('e-4')
    await until(() => sse.acknowledged === 'e-4', 'what the application says itself')
    assert.deepEqual(server.ids(), ['e-0', 'e-1', 'e-4'])
  })
}

test('a position is not acknowledged after an event behind it', async () => {
  const server = await pod()
  const sse = client(server.url, {acknowledgeEveryMs: 50})
  sse.addEventListener('message', () => {})
  sse.connect()
  await opened(server)
  server.write(
    event('e-1', '{}', 'cursor') + event('e-2') + event('e-3', '{}', 'cursor') + event('e-4')
  )
  await until(() => sse.acknowledged === 'e-4', 'the last event')
  assert.equal(server.ids().at(-1), 'e-4')
})

test('a removed listener hears nothing, and open and error are left alone', async () => {
  const server = await pod()
  const sse = client(server.url)
  const heard: string[] = []
  const listener = ({type}: {type: string}) => void heard.push(type)
  sse.addEventListener('open', listener)
  sse.addEventListener('message', listener)
  sse.addEventListener('news', listener)
  sse.removeEventListener('message', listener)
  sse.removeEventListener('gone', () => {})
  sse.connect()
  await opened(server)
  server.write(event('e-1') + event('e-2', 'x', 'news'))
  await until(() => sse.acknowledged === 'e-2', 'the event')
  sse.removeEventListener('open', listener)
  assert.deepEqual(heard, ['open', 'news'])
})

test('a loop acknowledges when it asks for the next event', async () => {
  const server = await pod()
  const sse = client(server.url)
  const seen: string[] = []
  void opened(server).then(() => server.write(event('e-1') + event('e-2')))
  for await (const {lastEventId} of sse) {
    seen.push(lastEventId)
    if (lastEventId === 'e-2') {
      server.write(event('e-2', '{}', 'cursor'))
      await until(() => sse.acknowledged === 'e-1', 'the one before')
      break
    }
  }
  assert.deepEqual(seen, ['e-1', 'e-2'])
  assert.ok(!server.ids().includes('e-2'), 'left by break: not done')
})

test('with automatic off only the application acknowledges', async () => {
  const server = await pod()
  const sse = client(server.url, {automatic: false})
  const heard: string[] = []
  sse.addEventListener('message', ({lastEventId}) => void heard.push(lastEventId))
  sse.connect()
  await opened(server)
  server.write(event('e-1') + event('e-2') + event('e-2', '{}', 'cursor'))
  await until(() => heard.length === 2, 'the events')
  sse.acknowledge({type: 'message', data: '', lastEventId: 'e-1'})
  assert.equal(await sse.flush(), true)
  assert.deepEqual(server.ids(), ['e-1'])
})

test('what fails is tried again and told, what is refused is told and let go', async () => {
  const server = await pod(503, 400)
  const told: object[] = []
  const sse = client(server.url, {automatic: false, onAcknowledgeError: (e) => told.push(e)})
  sse.connect()
  sse.acknowledge('e-1')
  await until(() => server.acks.length === 2, 'the second try')
  await until(() => told.length === 2, 'both answers')
  assert.deepEqual(told, [
    {status: 503, willRetry: true},
    {status: 400, willRetry: false}
  ])
  assert.equal(await sse.flush(), true, 'nothing waits')
  sse.acknowledge('e-2')
  await until(() => sse.acknowledged === 'e-2', 'the next one')
  assert.deepEqual(server.ids(), ['e-1', 'e-1', 'e-2'])
})

test('new headers are made for every request, and after a refusal', async () => {
  const server = await pod(401)
  const asked: number[] = []
  const headers = async ({refused}: {refused: number}) => {
    asked.push(refused)
    return {Authorization: `token ${asked.length}`}
  }
  const sse = client(server.url, {automatic: false, headers, credentials: 'include'})
  sse.connect()
  await opened(server)
  sse.acknowledge('e-1')
  await until(() => sse.acknowledged === 'e-1', 'the second try')
  assert.deepEqual(asked, [0, 0, 401])
  assert.equal(server.acks[1]?.headers.authorization, 'token 3')
})

test('closing sends what waits, with keepalive, and leaves nothing running', async () => {
  const server = await pod()
  const inits: RequestInit[] = []
  const fetch = (url: string, init: RequestInit) => {
    inits.push(init)
    return globalThis.fetch(url, init)
  }
  const sse = client(server.url, {automatic: false, acknowledgeEveryMs: 60_000, fetch})
  sse.connect()
  await opened(server)
  sse.acknowledge('e-5')
  sse.close()
  await until(() => sse.acknowledged === 'e-5', 'the last word')
  const post = inits.find(({method}) => method === 'POST')
  assert.equal(post?.keepalive, true)
})

test('a closed client does not try again', async () => {
  const server = await pod(503)
  const told: object[] = []
  const sse = client(server.url, {automatic: false, onAcknowledgeError: (e) => told.push(e)})
  sse.connect()
  sse.acknowledge('e-1')
  sse.close()
  await until(() => told.length === 1, 'the answer')
  assert.equal(await sse.flush(), true, 'unless asked to')
  assert.deepEqual(server.ids(), ['e-1', 'e-1'])
})

test('a page that is hidden or put aside sends what waits', async () => {
  const page = new EventTarget()
  const document = Object.assign(new EventTarget(), {visibilityState: 'hidden'})
  const stubs = {addEventListener: page.addEventListener.bind(page), document}
  for (const [key, value] of Object.entries(stubs)) {
    Object.defineProperty(globalThis, key, {value, configurable: true, writable: true})
    cleanups.push(() => void Reflect.deleteProperty(globalThis, key))
  }
  const server = await pod()
  const sse = client(server.url, {automatic: false, acknowledgeEveryMs: 60_000})
  sse.connect()
  await opened(server)
  sse.acknowledge('e-1')
  document.dispatchEvent(new Event('visibilitychange'))
  await until(() => sse.acknowledged === 'e-1', 'what waited when hidden')
  document.visibilityState = 'visible'
  sse.acknowledge('e-2')
  document.dispatchEvent(new Event('visibilitychange'))
  page.dispatchEvent(new Event('pagehide'))
  await until(() => sse.acknowledged === 'e-2', 'what waited when put aside')
  assert.equal(server.acks.length, 2)
})

test('a busy stream is acknowledged once an interval', async () => {
  const server = await pod()
  server.state.holding = true
  const sse = client(server.url, {acknowledgeEveryMs: 20})
  sse.addEventListener('message', () => {})
  sse.connect()
  await until(() => server.acks.length === 1, 'the first')
  for (let n = 1; n <= 50; n++) server.write(event(`e-${n}`))
  await until(() => sse.lastEventId === 'e-50', 'all events')
  server.state.holding = false
  server.held[0]!()
  await until(() => sse.acknowledged === 'e-50', 'the newest')
  assert.equal(server.acks.length, 2)
})

test('an event at which a loop fails comes to the next loop again, and nothing passes it', async () => {
  const server = await pod()
  const sse = client(server.url)
  sse.connect()
  await opened(server)
  server.write(event('e-1') + event('e-2') + event('e-3'))
  const seen: string[] = []
  const work = async (failing: boolean) => {
    for await (const {lastEventId} of sse) {
      seen.push(lastEventId)
      if (failing && lastEventId === 'e-2') throw new Error('hiccup')
      if (lastEventId === 'e-3') await until(() => sse.acknowledged === 'e-2', 'the one before')
      if (lastEventId === 'e-3') return
    }
  }
  await assert.rejects(work(true), /hiccup/)
  server.write(event('e-3', '{}', 'cursor'))
  await until(() => sse.acknowledged === 'e-1', 'what was handled')
  assert.equal(sse.lastEventId, 'e-1')
  await work(false)
  assert.deepEqual(seen, ['e-1', 'e-2', 'e-2', 'e-3'])
})

test('left unfinished by the loop that had opened it: the stream resumes before that event', async () => {
  const server = await pod()
  const sse = client(server.url)
  void opened(server).then(() => server.write(event('e-1') + event('e-2') + event('e-3')))
  for await (const {lastEventId} of sse) if (lastEventId === 'e-2') break
  const again = sse[Symbol.asyncIterator]()
  void again.next()
  await until(() => server.resumed.length === 2, 'the next stream')
  assert.equal(server.resumed[1], 'e-1')
})

test('an event that is acknowledged by hand and then left is not given again', async () => {
  const server = await pod()
  const sse = client(server.url, {automatic: false})
  sse.connect()
  await opened(server)
  server.write(event('e-1') + event('e-2'))
  for await (const received of sse) {
    sse.acknowledge(received)
    break
  }
  for await (const {lastEventId} of sse) {
    assert.equal(lastEventId, 'e-2')
    break
  }
})

test('a listener fails: closed and connected again, the stream resumes before its event', async () => {
  const server = await pod()
  const sse = client(server.url, {onListenerError: () => {}})
  let failures = 0
  const handled: string[] = []
  sse.addEventListener('message', async ({lastEventId}) => {
    if (lastEventId === 'e-2' && !failures++) throw new Error('no')
    handled.push(lastEventId)
  })
  sse.connect()
  await opened(server)
  server.write(event('e-1') + event('e-2') + event('e-3'))
  await until(() => handled.length === 2, 'the others')
  sse.close()
  sse.connect()
  await until(() => server.resumed.length === 2, 'the next stream')
  assert.equal(server.resumed[1], 'e-1')
  await until(() => server.streams.size === 1, 'the old stream to go')
  server.write(event('e-2') + event('e-3'))
  await until(() => sse.acknowledged === 'e-3', 'all of it')
  assert.deepEqual(handled, ['e-1', 'e-3', 'e-2', 'e-3'])
  assert.ok(!server.ids().slice(0, -1).includes('e-3'))
})

test('a loop and a listener: nothing is acknowledged that one of them has not handled', async () => {
  const server = await pod()
  const sse = client(server.url)
  const heard: string[] = []
  sse.addEventListener('message', ({lastEventId}) => void heard.push(lastEventId))
  void opened(server).then(() => server.write(event('e-1') + event('e-2') + event('e-3')))
  for await (const {lastEventId} of sse) {
    if (lastEventId !== 'e-2') continue
    await until(() => heard.length === 3, 'the listener')
    await until(() => sse.acknowledged === 'e-1', 'the first')
    assert.equal(await sse.flush(), true)
    assert.equal(sse.acknowledged, 'e-1')
    break
  }
})
