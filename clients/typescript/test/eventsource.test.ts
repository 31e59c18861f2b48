/** The face of an EventSource: what code written for the native one relies on. */
import assert from 'node:assert/strict'
import {afterEach, test} from 'node:test'
import {ErrorEvent, EventSource} from '../dist/eventsource.js'
import {ended, event, refused, serve, stream, until} from './server.js'

const cleanups: (() => void | Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function source(...answers: Parameters<typeof serve>) {
  const server = await serve(...answers)
  const es = new EventSource(server.url, {initialDelayMs: 10, withCredentials: true})
  cleanups.push(
    () => server.close(),
    () => es.close()
  )
  return {server, es}
}

test('constants, url, handlers, named events and message events', async () => {
  const {server, es} = await source(stream(event('e-1'), event('e-2', 'y', 'news')))
  const seen: string[] = []
  es.onopen = ({type}) => seen.push(type)
  es.onmessage = ({type, data, lastEventId, origin}) => {
    seen.push(`${type} ${data} ${lastEventId} ${origin === new URL(server.url).origin}`)
  }
  es.addEventListener('news', ({data}) => seen.push(data))
  assert.equal(es.readyState, EventSource.CONNECTING)
  await until(() => seen.length === 3, 'all three')
  assert.deepEqual(seen, ['open', 'message e-1 e-1 true', 'y'])
  assert.equal(es.readyState, es.OPEN)
  assert.equal(es.url, server.url)
  assert.equal(es.withCredentials, true)
  es.close()
  assert.equal(es.readyState, es.CLOSED)
})

test('what a server names open or error is a message event, and what the client says is none', async () => {
  const named = [event('e-1', 'mine', 'open'), event('e-2', 'mine', 'error')]
  const {es} = await source(ended(...named), refused(404))
  const seen: [string, boolean, unknown][] = []
  const note = (said: Event) => {
    seen.push([said.type, said instanceof MessageEvent, (said as Partial<MessageEvent>).data])
  }
  es.onopen = note
  es.addEventListener('error', note)
  await until(() => es.readyState === es.CLOSED, 'the end')
  assert.deepEqual(seen, [
    ['open', false, undefined],
    ['open', true, 'mine'],
    ['error', true, 'mine'],
    ['error', false, undefined],
    ['error', false, undefined]
  ])
})

test('null is no options, as for the native one', async () => {
  const {server} = await source(stream(event('e-1')))
  const es = new EventSource(server.url, null as unknown as undefined)
  cleanups.push(() => es.close())
  const come = new Promise((resolve) => es.addEventListener('message', resolve, null as never))
  await come
  assert.equal(es.withCredentials, false)
})

test('an error while it will retry, and one when it will not', async () => {
  const {es} = await source(ended(event('e-1')), refused(404))
  const seen: [number, string | undefined][] = []
  es.onerror = ({detail}) => seen.push([es.readyState, detail?.reason])
  await until(() => seen.length === 2, 'both errors')
  assert.deepEqual(seen, [
    [es.CONNECTING, 'eof'],
    [es.CLOSED, 'refused']
  ])
})

test('survives what kills the native one', async () => {
  const {es} = await source(refused(503), stream(event('e-1')))
  await new Promise((resolve) => es.addEventListener('message', resolve, {once: true}))
  assert.equal(es.readyState, es.OPEN)
})

test('a listener that throws, of any kind, ends neither the process nor the stream', async () => {
  const server = await serve(stream(event('e-1'), event('e-2')))
  const thrown: string[] = []
  const onListenerError = (error: unknown) => thrown.push((error as Error).message)
  const es = new EventSource(server.url, {onListenerError})
  cleanups.push(
    () => server.close(),
    () => es.close()
  )
  const fail = (message: string) => () => {
    throw new Error(message)
  }
  const removed = () => thrown.push('removed')
  es.onmessage = fail('handler')
  es.addEventListener('message', fail('listener'))
  es.addEventListener('message', {handleEvent: fail('object')})
  es.addEventListener('message', removed)
  es.addEventListener('message', removed)
  es.removeEventListener('message', removed)
  await until(() => thrown.length === 6, 'both events')
  const each = ['handler', 'listener', 'object']
  assert.deepEqual(thrown, [...each, ...each])
  assert.equal(es.readyState, es.OPEN)
})

test('a listener is called in vain after once, its signal, its removal, or as null', async () => {
  const {server, es} = await source(stream(event('e-1')))
  const calls: string[] = []
  const controller = new AbortController()
  const {signal} = controller
  const removed = () => calls.push('removed')
  es.addEventListener('message', () => calls.push('once'), {once: true})
  es.addEventListener('message', () => calls.push('signal'), {signal})
  es.addEventListener('message', () => calls.push('aborted'), {signal: AbortSignal.abort()})
  es.addEventListener('message', removed)
  es.addEventListener('message', removed, true)
  es.addEventListener('message', null)
  es.removeEventListener('message', removed)
  es.removeEventListener('message', () => calls.push('unknown'))
  es.removeEventListener('message', null)
  es.addEventListener('message', () => calls.push('all'))
  await until(() => calls.includes('all'), 'the first event')
  assert.deepEqual(calls.splice(0).sort(), ['all', 'once', 'removed', 'signal'])
  controller.abort()
  for (const response of server.open) response.write(event('e-2'))
  await until(() => calls.includes('all'), 'the second event')
  assert.deepEqual(calls.sort(), ['all', 'removed'])
})

test('a handler is one listener, replaced where it stands and removed by null', async () => {
  const {server, es} = await source(stream(event('e-1')))
  const calls: string[] = []
  const handler = () => calls.push('first')
  es.onmessage = handler
  es.addEventListener('message', handler)
  es.addEventListener('message', () => calls.push('listener'))
  es.onmessage = function (this: EventSource) {
    calls.push(`handler ${this === es}`)
  }
  await until(() => calls.includes('listener'), 'the first event')
  assert.deepEqual(calls.splice(0), ['handler true', 'first', 'listener'])
  es.removeEventListener('message', handler)
  assert.equal(typeof es.onmessage, 'function')
  es.onmessage = null
  es.onopen = 'no function' as unknown as null
  assert.deepEqual([es.onmessage, es.onopen, es.onerror], [null, null, null])
  for (const response of server.open) response.write(event('e-2'))
  await until(() => calls.includes('listener'), 'the second event')
  assert.deepEqual(calls, ['listener'])
})

test('a promise that a listener returns may be rejected', async () => {
  const server = await serve(stream(event('e-1')))
  const thrown: unknown[] = []
  const onListenerError = (error: unknown) => thrown.push(error)
  const es = new EventSource(server.url, {onListenerError})
  cleanups.push(
    () => server.close(),
    () => es.close()
  )
  es.addEventListener('message', async () => Promise.reject('late'))
  await until(() => thrown.length === 1, 'the rejection')
  assert.deepEqual(thrown, ['late'])
  assert.equal(es.readyState, es.OPEN)
})

test('an error event has code, message and detail, and is an ErrorEvent', async () => {
  const {es} = await source(refused(404))
  const error = await new Promise<ErrorEvent>((resolve) => (es.onerror = resolve))
  assert.ok(error instanceof ErrorEvent)
  assert.equal(error.code, 404)
  assert.equal(error.message, 'refused')
  assert.equal(error.detail?.reason, 'refused')
  assert.equal(new ErrorEvent('error').code, undefined)
})

test('an option that is undefined is an option that is absent', async () => {
  const server = await serve(...Array.from({length: 12}, () => refused(503)), stream(event('e-1')))
  const options = {maxAttempts: undefined, initialDelayMs: 1, maxDelayMs: 1}
  const es = new EventSource(server.url, options)
  cleanups.push(
    () => server.close(),
    () => es.close()
  )
  await new Promise((resolve) => es.addEventListener('message', resolve, {once: true}))
  assert.equal(server.requests.length, 13)
})

test('maxBufferSize bounds lines and events', async () => {
  const server = await serve(stream(event('e-1', 'x'.repeat(200))))
  const es = new EventSource(server.url, {maxBufferSize: 100})
  cleanups.push(
    () => server.close(),
    () => es.close()
  )
  const error = await new Promise<ErrorEvent>((resolve) => (es.onerror = resolve))
  assert.equal(error.detail?.reason, 'oversized')
})

test('an unusable URL is a SyntaxError', () => {
  assert.throws(() => new EventSource('http://'), {name: 'SyntaxError'})
  assert.throws(() => new EventSource('/relative'), {name: 'SyntaxError'})
})

for (const url of ['ftp://127.0.0.1/', 'ws://127.0.0.1/', 'mailto:a@b', 'http://a:b@127.0.0.1/']) {
  test(`one that no fetch takes closes: ${url}`, async () => {
    const es = new EventSource(url)
    assert.equal(es.readyState, es.CONNECTING)
    const error = await new Promise<ErrorEvent>((resolve) => (es.onerror = resolve))
    assert.equal(es.readyState, es.CLOSED)
    assert.equal(error.detail?.reason, 'invalid_request')
    assert.ok(error.message?.includes(es.url))
    const closed = new EventSource(url, {onListenerError: () => assert.fail()})
    closed.onerror = () => assert.fail('it was closed')
    closed.close()
    assert.equal(closed.readyState, closed.CLOSED)
    await new Promise((resolve) => setTimeout(resolve, 5))
  })
}

test('a fetch of your own may take any URL', async () => {
  const body = new Response(event('e-1')).body
  const headers = {'content-type': 'text/event-stream'}
  const urls: string[] = []
  const fetch = async (url: string) => {
    urls.push(url)
    return new Response(body, {headers})
  }
  const es = new EventSource('unix:///run/events', {fetch})
  cleanups.push(() => es.close())
  await new Promise((resolve) => es.addEventListener('message', resolve, {once: true}))
  assert.match(urls[0]!, /^unix:/)
})
