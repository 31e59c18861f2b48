/** The face of an EventSource: what code written for the native one relies on. */
import assert from 'node:assert/strict'
import {afterEach, test} from 'node:test'
import {EventSource} from '../dist/eventsource.js'
import {ended, event, refused, serve, stream, until} from './server.js'

const cleanups: (() => void | Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function source(...answers: Parameters<typeof serve>) {
  const server = await serve(...answers)
  const es = new EventSource(server.url, {initialDelayMs: 10, withCredentials: true})
  cleanups.push(() => server.close(), () => es.close())
  return {server, es}
}

test('constants, url, handlers, named events and message events', async () => {
  const {server, es} = await source(stream(event('e-1'), event('e-2', 'y', 'news')))
  const seen: string[] = []
  es.onopen = ({type}) => seen.push(type)
  es.onmessage = ({type, data, lastEventId, origin}) => {
    seen.push(`${type} ${data} ${lastEventId} ${origin === new URL(server.url).origin}`)
  }
  es.addEventListener('news', (event) => seen.push((event as MessageEvent<string>).data))
  assert.equal(es.readyState, EventSource.CONNECTING)
  await until(() => seen.length === 3, 'all three')
  assert.deepEqual(seen, ['open', 'message e-1 e-1 true', 'y'])
  assert.equal(es.readyState, es.OPEN)
  assert.equal(es.url, server.url)
  assert.equal(es.withCredentials, true)
  es.close()
  assert.equal(es.readyState, es.CLOSED)
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
  cleanups.push(() => server.close(), () => es.close())
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
  const each = ['listener', 'object', 'handler']
  assert.deepEqual(thrown, [...each, ...each])
  assert.equal(es.readyState, es.OPEN)
})

test('an unusable URL is a SyntaxError', () => {
  assert.throws(() => new EventSource('http://'), {name: 'SyntaxError'})
})
