/** What is asked for: found impossible at once, sent as given, and done twice only where it may be. */
import assert from 'node:assert/strict'
import {afterEach, test} from 'node:test'
import {CLOSED, SseClient, type SseClientOptions, type SseError} from '../dist/index.js'
import {SharedSseClient} from '../dist/shared.js'
import {type Answer, ended, event, refused, serve, stream, until} from './server.js'

const cleanups: (() => void | Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function served(options: SseClientOptions, ...answers: Answer[]) {
  const server = await serve(...answers)
  const sse = new SseClient(server.url, {initialDelayMs: 10, ...options})
  cleanups.push(
    () => server.close(),
    () => sse.close()
  )
  return {server, sse}
}

/** The data of every event until the end, and the error it ended with. */
async function all(sse: SseClient): Promise<{seen: string[]; error: SseError | undefined}> {
  const seen: string[] = []
  try {
    for await (const {data} of sse) seen.push(data)
  } catch (error) {
    return {seen, error: error as SseError}
  }
  return {seen, error: undefined}
}

test('what no request can have is refused at construction', () => {
  const wrong: [string, object][] = [
    ['http://', {}],
    ['no scheme', {}],
    ['/relative', {}],
    ['ftp://host/', {}],
    ['ws://host/', {}],
    ['file:///etc/hosts', {}],
    ['http://user:secret@host/', {}],
    ['http://host/', {headers: {'bad name': '1'}}],
    ['http://host/', {headers: {name: 'line\nbreak'}}],
    ['http://host/', {headers: {name: 5}}],
    ['http://host/', {headers: {name: null}}],
    ['http://host/', {headers: {name: {}}}],
    ['http://host/', {headers: null}],
    ['http://host/', {method: 'GE T'}],
    ['http://host/', {method: 'GET', body: '{}'}],
    ['http://host/', {body: new ReadableStream()}],
    ['http://host/', {credentials: 'sometimes'}],
    ['http://host/', {fetch: 'node-fetch'}]
  ]
  for (const [url, options] of wrong) {
    for (const Client of [SseClient, SharedSseClient]) {
      const made = () => new Client(url, options)
      assert.throws(made, TypeError, `${url} ${JSON.stringify(options)}`)
    }
  }
  const own = (url: string, init: RequestInit) => fetch(`http://host${url}`, init)
  assert.equal(new SseClient('/relative', {fetch: own}).url, '/relative')
})

test('headers are merged without regard to case, as an object or as Headers; the id is ours', async () => {
  const {server, sse} = await served(
    {headers: new Headers({ACCEPT: 'text/event-stream;x', 'x-own': '1', 'Last-Event-Id': 'old'})},
    ended(event('e-1')),
    stream(event('e-2'))
  )
  sse.addEventListener('message', () => {})
  sse.connect()
  await until(() => sse.lastEventId === 'e-2', 'both events')
  const sent = server.requests.map(({headers}) => [headers.accept, headers['last-event-id']])
  assert.deepEqual(sent, [
    ['text/event-stream;x', 'old'],
    ['text/event-stream;x', 'e-1']
  ])
  assert.equal(server.requests[0]?.headers['x-own'], '1')
  assert.equal(server.requests[0]?.headers['cache-control'], 'no-cache')
  const again = new SseClient(server.url, {headers: {'X-OWN': '2', absent: undefined}})
  cleanups.push(() => again.close())
  again.connect()
  await until(() => server.requests.length === 3, 'the other client')
  assert.equal(server.requests[2]?.headers['x-own'], '2')
  assert.equal('absent' in server.requests[2]!.headers, false)
})

test('an id that no header carries is not sent', async () => {
  const {server, sse} = await served({lastEventId: 'a\x01b'}, stream(event('e-1')))
  sse.connect()
  await until(() => server.requests.length === 1, 'the request')
  assert.equal('last-event-id' in server.requests[0]!.headers, false)
})

test('headers that a provider makes and no request can have: stopped at once', async () => {
  const {server, sse} = await served({headers: () => ({name: 'line\nbreak'})}, stream())
  const {error} = await all(sse)
  assert.deepEqual([error?.reason, error?.status], ['invalid_request', 0])
  assert.ok(error?.cause instanceof TypeError)
  assert.equal(server.requests.length, 0)
})

test('a fetch that cannot stream: stopped at once', async () => {
  let calls = 0
  const body = null
  const headers = new Headers({'content-type': 'text/event-stream'})
  const locked = new Response('data: x\n\n', {headers})
  locked.body!.getReader()
  for (const response of [{status: 200, headers, body}, locked, undefined]) {
    const fetch = async () => {
      calls++
      return response as unknown as Response
    }
    const {sse} = await served({fetch})
    const {error} = await all(sse)
    assert.deepEqual([error?.reason, calls], ['unreadable', 1])
    assert.ok(error?.cause)
    calls = 0
  }
})

test('the end has its cause: what fetch threw, or how the last attempt was lost', async () => {
  const refusing = async () => {
    throw new TypeError('no route')
  }
  const thrown = await served({fetch: refusing, maxAttempts: 1})
  const {error} = await all(thrown.sse)
  assert.equal(error?.reason, 'exhausted')
  assert.equal((error?.cause as Error | undefined)?.message, 'no route')
  const answered = await served({maxAttempts: 0}, refused(503))
  assert.match(String((await all(answered.sse)).error?.cause), /status 503/)
})

test('a loop after the end asks anew', async () => {
  const {server, sse} = await served(
    {maxAttempts: 0},
    refused(503),
    refused(404),
    ended(event('e-1'))
  )
  assert.equal((await all(sse)).error?.reason, 'exhausted')
  assert.equal((await all(sse)).error?.reason, 'refused')
  for await (const {data} of sse) {
    assert.equal(data, 'e-1')
    break
  }
  assert.equal(server.requests.length, 3)
})

test('a client that has used up its attempts is revived when the network is back', async () => {
  const life = new EventTarget()
  const page = globalThis as unknown as Record<string, unknown>
  page['addEventListener'] = life.addEventListener.bind(life)
  cleanups.push(() => void delete page['addEventListener'])
  const {sse} = await served({maxAttempts: 0}, refused(503), stream(event('e-1')))
  const heard: string[] = []
  sse.addEventListener('message', ({data}) => void heard.push(data))
  sse.connect()
  await until(() => sse.readyState === CLOSED, 'the end')
  life.dispatchEvent(new Event('online'))
  await until(() => heard.length === 1, 'the event')
})

test('a body is posted, and a stream that ends cleanly is the end', async () => {
  const bodies: string[] = []
  const answer: Answer = async (request, response) => {
    let body = ''
    for await (const part of request) body += part
    bodies.push(`${request.method} ${request.headers['content-type']} ${body}`)
    ended('data: one\n\n', 'data: two\n\n')(request, response)
  }
  const headers = {'Content-Type': 'application/json'}
  const {server, sse} = await served({body: '{"q":1}', headers}, answer)
  const {seen, error} = await all(sse)
  assert.deepEqual([seen, error], [['one', 'two'], undefined])
  assert.deepEqual(bodies, ['POST application/json {"q":1}'])
  assert.equal(server.requests.length, 1)
})

const broken: Answer = (_, response) => {
  response.writeHead(200, {'Content-Type': 'text/event-stream'})
  response.write(event('e-1'), () => setTimeout(() => response.destroy(), 20))
}

test('a post is repeated before its answer, and not once that has begun', async () => {
  const {server, sse} = await served({body: 'x'}, refused(503), broken, ended(event('e-2')))
  const {seen, error} = await all(sse)
  assert.deepEqual([seen, error?.reason], [['e-1'], 'interrupted'])
  assert.ok(error?.cause)
  assert.equal(server.requests.length, 2)
})

test('a method that does nothing is repeated however it is written', async () => {
  // Node 18's server knows no QUERY.
  const own = (url: string, init: object) => fetch(url, {...init, method: 'GET'})
  for (const method of ['get', 'OPTIONS', 'QUERY']) {
    const {server, sse} = await served({method, fetch: own}, ended(event('e-1')), refused(204))
    assert.deepEqual((await all(sse)).seen, ['e-1'])
    assert.equal(server.requests.length, 2, method)
  }
})

test('a post with an idempotency key is resumed where it broke', async () => {
  const headers = () => ({'idempotency-key': '7'})
  const {server, sse} = await served({method: 'POST', headers}, broken, ended(event('e-2')))
  const {seen, error} = await all(sse)
  assert.deepEqual([seen, error], [['e-1', 'e-2'], undefined])
  assert.equal(server.requests[1]?.headers['last-event-id'], 'e-1')
})

test('comments go to their hook, which may throw', async () => {
  const comments: string[] = []
  const thrown: unknown[] = []
  const onComment = (comment: string) => {
    comments.push(comment)
    if (!comment) throw new Error('mine')
  }
  const onListenerError = (error: unknown) => thrown.push(error)
  const {server, sse} = await served(
    {onComment, onListenerError},
    stream(':\n', ': since 8 o’clock\n', event('e-1'))
  )
  sse.addEventListener('message', () => {})
  sse.connect()
  await until(() => sse.lastEventId === 'e-1', 'the event')
  assert.deepEqual(comments, ['', 'since 8 o’clock'])
  assert.equal(thrown.length, 1)
  assert.equal(server.requests.length, 1)
})

test('a signal closes the client, and one that has aborted keeps it closed', async () => {
  const abort = new AbortController()
  const {server, sse} = await served({signal: abort.signal}, stream(event('e-1')))
  const following = all(sse)
  await until(() => sse.lastEventId === 'e-1', 'the event')
  abort.abort()
  assert.deepEqual((await following).seen, ['e-1'])
  await until(() => server.open.size === 0, 'the connection to go')
  sse.connect()
  assert.equal(sse.readyState, CLOSED)
  assert.deepEqual(await all(sse), {seen: [], error: undefined})
})

test('a listener whose promise is rejected ends nothing', async () => {
  const thrown: unknown[] = []
  const onListenerError = (error: unknown) => thrown.push(error)
  const {sse} = await served({onListenerError}, stream(event('e-1'), event('e-2')))
  sse.addEventListener('message', async () => {
    throw new Error('mine')
  })
  sse.connect()
  await until(() => thrown.length === 2, 'both')
  assert.equal(sse.lastEventId, 'e-2')
})
