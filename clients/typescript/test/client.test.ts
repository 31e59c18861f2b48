/** The client on real sockets: resumes, renews, hands over, iterates, and closes for good. */
import assert from 'node:assert/strict'
import {afterEach, test} from 'node:test'
import {CLOSED, OPEN, SseClient, type SseError, type SseErrorEvent} from '../dist/index.js'
import type {Answer, TestServer} from './server.js'
import {connected, ended, event, refused, serve, shutdown, stream, until} from './server.js'

const FAST = {initialDelayMs: 10}
const cleanups: (() => void | Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function served(...answers: Answer[]): Promise<TestServer> {
  const server = await serve(...answers)
  cleanups.push(() => server.close())
  return server
}

function client(server: TestServer, options: ConstructorParameters<typeof SseClient>[1] = {}) {
  const made = new SseClient(server.url, {...FAST, ...options})
  cleanups.push(() => made.close())
  return made
}

function errorsOf(sse: SseClient): SseErrorEvent[] {
  const errors: SseErrorEvent[] = []
  sse.addEventListener('error', (error) => errors.push(error))
  return errors
}

/** Connects with a listener, so that what comes is handed over. */
function follow(sse: SseClient): void {
  sse.addEventListener('message', () => {})
  sse.connect()
}

test('nothing happens before connect, and connect twice is once', async () => {
  const server = await served(stream(event('e-1')))
  const sse = client(server)
  assert.equal(sse.readyState, CLOSED)
  const opened: string[] = []
  sse.addEventListener('open', ({type}) => opened.push(type))
  follow(sse)
  sse.connect()
  await until(() => sse.lastEventId === 'e-1', 'the event')
  assert.equal(sse.readyState, OPEN)
  assert.deepEqual(opened, ['open'])
  assert.equal(server.requests.length, 1)
  assert.equal(server.requests[0]?.url, '/events')
  assert.equal(server.requests[0]?.headers.accept, 'text/event-stream')
})

test('handover is said where it is asked for, and a query and a fragment are kept apart', async () => {
  const hello = {pod: 'a', heartbeat_ms: 15_000, spread_ms: 0, handover: true}
  const asking = ended(event('e-1', JSON.stringify(hello), 'connected'))
  const server = await served(asking, asking, stream(event('e-2')))
  server.url += '?sig=a%2fb&n=%C3%A4&e=+#part'
  const told = client(server)
  told.connect()
  await until(() => server.requests.length === 2, 'the second request')
  told.close()
  const never = client(server, {handover: false})
  const always = client(server, {handover: true})
  never.connect()
  await until(() => server.requests.length === 3, 'the request without')
  always.connect()
  await until(() => server.requests.length === 4, 'the request with')
  const plain = '/events?sig=a%2fb&n=%C3%A4&e=+'
  const urls = server.requests.map(({url}) => url)
  assert.deepEqual(urls, [plain, `${plain}&handover=1`, plain, `${plain}&handover=1`])
})

test('resumes after the last id, sent as UTF-8', async () => {
  const server = await served(ended(event('é-1')), stream(event('e-2')))
  const sse = client(server, {lastEventId: 'e-0'})
  follow(sse)
  await until(() => sse.lastEventId === 'e-2', 'the second event')
  const ids = server.requests.map(({headers}) => headers['last-event-id'] as string)
  assert.deepEqual(
    ids.map((id) => Buffer.from(id, 'latin1').toString()),
    ['e-0', 'é-1']
  )
})

test('iteration yields events and gaps, not the words between server and client', async () => {
  const gap = event('e-2', '{"from":"e-1","to":"e-2","reason":"expired"}', 'gap')
  const server = await served(
    stream(connected('a', 'e-1'), gap, event('e-3', 'x', 'news'), event('e-3', '{}', 'cursor'))
  )
  const sse = client(server)
  const seen: string[] = []
  for await (const {type} of sse) {
    seen.push(type)
    if (seen.length === 2) break
  }
  assert.deepEqual(seen, ['gap', 'news'])
  assert.equal(sse.readyState, CLOSED, 'the loop had opened it')
  await until(() => server.open.size === 0, 'the connection to go')
})

test('a loop that has not opened the client does not close it; close ends the loop', async () => {
  const server = await served(stream(event('e-1')))
  const sse = client(server)
  sse.connect()
  for await (const _ of sse) break
  assert.equal(sse.readyState, OPEN)
  const rest = (async () => {
    for await (const _ of sse) throw new Error('nothing more was sent')
  })()
  sse.close()
  await rest
})

test('204 ends the loop, other stops are thrown, and said to listeners first', async () => {
  const done = await served(refused(204))
  for await (const _ of client(done)) assert.fail()
  const missing = await served(refused(404))
  const sse = client(missing)
  const errors = errorsOf(sse)
  await assert.rejects(
    async () => {
      for await (const _ of sse) assert.fail()
    },
    (error: SseError) => error.reason === 'refused' && error.status === 404
  )
  assert.deepEqual(
    errors.map(({reason, willRetry, status}) => ({reason, willRetry, status})),
    [{reason: 'refused', willRetry: false, status: 404}]
  )
  assert.equal(missing.requests.length, 1)
})

test('a provider makes headers anew, once more after a 401, and then it stops', async () => {
  const asked: number[] = []
  const headers = async ({refused: status}: {refused: number}) => {
    asked.push(status)
    return {Authorization: `Bearer ${asked.length}`}
  }
  const server = await served(refused(401), ended(event('e-1')), refused(403), refused(403))
  const sse = client(server, {headers})
  const errors = errorsOf(sse)
  sse.connect()
  await until(() => sse.readyState === CLOSED, 'the stop')
  assert.deepEqual(asked, [0, 401, 0, 403])
  assert.equal(server.requests[1]?.headers.authorization, 'Bearer 2')
  assert.equal(errors.at(-1)?.reason, 'unauthorized')
})

test('a provider that throws is a failed attempt like any other', async () => {
  const server = await served(stream(event('e-1')))
  let calls = 0
  const headers = () => {
    if (!calls++) throw new Error('no token yet')
    return {}
  }
  const sse = client(server, {headers})
  const errors = errorsOf(sse)
  follow(sse)
  await until(() => sse.lastEventId === 'e-1', 'the event')
  assert.equal((errors[0]?.error as Error | undefined)?.message, 'no token yet')
})

test('fixed headers, credentials and an own fetch are used', async () => {
  const server = await served(stream(event('e-1')))
  const inits: RequestInit[] = []
  const sse = client(server, {
    headers: {'X-Own': '1'},
    credentials: 'include',
    fetch: (url, init) => {
      inits.push(init)
      return fetch(url, init)
    }
  })
  follow(sse)
  await until(() => sse.lastEventId === 'e-1', 'the event')
  assert.equal(server.requests[0]?.headers['x-own'], '1')
  assert.equal(inits[0]?.credentials, 'include')
  assert.equal(inits[0]?.cache, 'no-store')
})

test('gives up after its attempts, and reconnect starts anew', async () => {
  const server = await served(refused(503), refused(503), stream(event('e-1')))
  const sse = client(server, {maxAttempts: 1})
  const errors = errorsOf(sse)
  follow(sse)
  await until(() => sse.readyState === CLOSED, 'the end')
  assert.deepEqual(
    errors.map(({reason, willRetry}) => [reason, willRetry]),
    [
      ['status', true],
      ['exhausted', false]
    ]
  )
  sse.reconnect()
  await until(() => sse.lastEventId === 'e-1', 'the event')
})

test('hands over: no moment without a stream, each event once and in order', async () => {
  const server = await served(
    stream(connected('a', 'e-1'), event('e-2'), shutdown('e-2')),
    stream(connected('b', 'e-2'), event('e-3'))
  )
  const sse = client(server)
  const errors = errorsOf(sse)
  const ids: string[] = []
  sse.addEventListener('message', ({lastEventId}) => ids.push(lastEventId))
  sse.connect()
  await until(() => ids.length === 2, 'both events')
  await until(() => server.open.size === 1, 'the old stream to go')
  assert.deepEqual(ids, ['e-2', 'e-3'])
  assert.deepEqual(errors, [])
  assert.equal(sse.readyState, OPEN)
  assert.equal(server.requests[1]?.headers['last-event-id'], 'e-2')
})

test('breaks before it makes where a second connection is not answered', async () => {
  let answerSecond = (): void => undefined
  const server = await served(
    stream(connected('a', 'e-1'), shutdown('e-1')),
    (request, response) => {
      answerSecond = () => stream(connected('b', 'e-1'), event('e-2'))(request, response)
    }
  )
  const sse = client(server, {handoverPatienceMs: 50})
  const errors = errorsOf(sse)
  follow(sse)
  await until(() => errors.length === 1, 'the break')
  assert.equal(errors[0]?.reason, 'planned')
  answerSecond()
  await until(() => sse.lastEventId === 'e-2', 'the event')
  assert.equal(server.requests.length, 2)
})

test('a listener that throws harms neither the others nor the stream', async () => {
  const server = await served(stream(event('e-1'), event('e-2')))
  const thrown: unknown[] = []
  const sse = client(server, {onListenerError: (error) => thrown.push(error)})
  const ids: string[] = []
  sse.addEventListener('message', () => {
    throw new Error('mine')
  })
  sse.addEventListener('message', ({lastEventId}) => ids.push(lastEventId))
  sse.connect()
  await until(() => ids.length === 2, 'both events')
  assert.equal(thrown.length, 2)
})

test('close inside a listener: nothing more is delivered, not even from the same chunk', async () => {
  const server = await served(stream(event('e-1'), event('e-2')))
  const sse = client(server)
  const seen: string[] = []
  const errors = errorsOf(sse)
  sse.addEventListener('message', ({lastEventId}) => {
    seen.push(lastEventId)
    sse.close()
  })
  sse.addEventListener('message', () => seen.push('another listener'))
  sse.connect()
  await until(() => seen.length > 0 && server.open.size === 0, 'the close')
  assert.deepEqual(seen, ['e-1'])
  assert.deepEqual(errors, [])
  assert.equal(sse.lastEventId, 'e-1')
})

test('close at the goodbye: the next stream is not even asked for', async () => {
  const server = await served(stream(connected('a', 'e-1'), shutdown('e-1')))
  const sse = client(server)
  sse.addEventListener('shutdown', () => sse.close())
  sse.connect()
  await until(() => server.requests.length > 0 && server.open.size === 0, 'the close')
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(server.requests.length, 1)
})

test('reconnect inside a listener: one connection, resuming after the last event', async () => {
  const server = await served(ended(event('e-1')), stream(event('e-2')))
  const sse = client(server, {initialDelayMs: 60_000})
  sse.addEventListener('error', () => sse.reconnect())
  follow(sse)
  await until(() => sse.lastEventId === 'e-2', 'the next event')
  assert.equal(server.requests.length, 2)
})

test('an option that cannot work is refused by name, and undefined stands for the default', () => {
  const wrong = '3' as unknown as number
  const bad = [
    {maxDelayMs: -1},
    {jitter: NaN},
    {initialDelayMs: wrong},
    {factor: 0.9},
    {maxLineLength: NaN},
    {maxEventLength: 0},
    {handover: 'yes' as 'auto'}
  ]
  for (const options of bad) {
    const [name] = Object.keys(options)
    assert.throws(() => new SseClient('http://localhost/', options), {
      name: 'RangeError',
      message: name
    })
  }
  const absent = {maxAttempts: undefined, headers: undefined, fetch: undefined, signal: undefined}
  assert.equal(new SseClient('http://localhost/', absent).readyState, CLOSED)
})

test('a removed listener hears nothing', async () => {
  const server = await served(stream(event('e-1')))
  const sse = client(server)
  const hear = () => assert.fail()
  sse.removeEventListener('message', hear)
  sse.addEventListener('message', hear)
  sse.removeEventListener('message', hear)
  sse.addEventListener('other', hear)
  sse.connect()
  await until(() => sse.lastEventId === 'e-1', 'the event')
})

test('silence of three heartbeats ends a dead stream', async () => {
  const server = await served(stream(connected('a', 'e-1', 20)), stream(connected('a', 'e-2')))
  const sse = client(server)
  const errors = errorsOf(sse)
  sse.connect()
  await until(() => sse.lastEventId === 'e-2', 'the next stream')
  assert.equal(errors[0]?.reason, 'idle')
})

test('an oversized event stops for good', async () => {
  const server = await served(stream(`data: ${'x'.repeat(100)}\n\n`))
  const sse = client(server, {maxLineLength: 50})
  const errors = errorsOf(sse)
  sse.connect()
  await until(() => sse.readyState === CLOSED, 'the stop')
  assert.equal(errors[0]?.reason, 'oversized')
})

test('a slow loop makes the reading stop, and loses nothing', async () => {
  const total = 3000
  const answer: Answer = (_, response) => {
    response.writeHead(200, {'Content-Type': 'text/event-stream'})
    let n = 0
    const write = () => {
      while (n < total && response.write(event(`e-${++n}`, 'x'.repeat(2000))));
      if (n < total) response.once('drain', write)
    }
    write()
  }
  const server = await served(answer)
  const sse = client(server, {idleTimeoutMs: 1000})
  let seen = 0
  for await (const {lastEventId} of sse) {
    assert.equal(lastEventId, `e-${++seen}`)
    if (seen === 1) await new Promise((resolve) => setTimeout(resolve, 1500))
    if (seen === total) break
  }
  assert.equal(server.requests.length, 1, 'our own slowness is not the silence of the server')
})

test('a page put aside lets go and comes back; network and sight hurry a waiting client', async () => {
  const page = globalThis as unknown as Record<string, unknown>
  const life = new EventTarget()
  const doc = Object.assign(new EventTarget(), {visibilityState: 'hidden'})
  page['addEventListener'] = life.addEventListener.bind(life)
  page['document'] = doc
  const navigator = Object.getOwnPropertyDescriptor(globalThis, 'navigator')
  const goOnline = (onLine: boolean) =>
    Object.defineProperty(globalThis, 'navigator', {value: {onLine}, configurable: true})
  cleanups.push(() => {
    delete page['navigator']
    if (navigator) Object.defineProperty(globalThis, 'navigator', navigator)
    delete page['addEventListener']
    delete page['document']
  })
  const server = await served(
    stream(event('e-1')),
    refused(503),
    refused(503),
    stream(event('e-2'))
  )
  const sse = client(server, {maxAttempts: 1, maxDelayMs: 60_000})
  follow(sse)
  await until(() => sse.lastEventId === 'e-1', 'the event')
  life.dispatchEvent(new Event('pagehide'))
  await until(() => server.open.size === 0, 'the stream to be let go')
  life.dispatchEvent(Object.assign(new Event('pageshow'), {persisted: false}))
  assert.equal(server.requests.length, 1)
  goOnline(false)
  const errors = errorsOf(sse)
  life.dispatchEvent(Object.assign(new Event('pageshow'), {persisted: true}))
  await until(() => errors.length === 2, 'two failures')
  assert.ok(errors[1]?.willRetry, 'offline, nothing is given up')
  goOnline(true)
  life.dispatchEvent(new Event('online'))
  doc.dispatchEvent(new Event('visibilitychange'))
  doc.visibilityState = 'visible'
  doc.dispatchEvent(new Event('visibilitychange'))
  await until(() => sse.lastEventId === 'e-2', 'the return')
  assert.equal(server.requests[1]?.headers['last-event-id'], 'e-1')
  sse.close()
  life.dispatchEvent(Object.assign(new Event('pageshow'), {persisted: true}))
  assert.equal(sse.readyState, CLOSED, 'what is closed is not watched any more')
})
