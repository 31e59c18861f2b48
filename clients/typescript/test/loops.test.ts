/** What a loop still gets when the client is closed, and when it has given up by itself. */
import assert from 'node:assert/strict'
import {afterEach, test} from 'node:test'
import {CLOSED, SseClient, SseError} from '../dist/index.js'
import {ended, event, refused, serve, stream, until, type Answer} from './server.js'

const cleanups: (() => void | Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function client(...answers: Answer[]): Promise<SseClient> {
  const server = await serve(...answers)
  const sse = new SseClient(server.url, {initialDelayMs: 10})
  cleanups.push(() => server.close(), () => sse.close())
  return sse
}

/** A loop that stays at its first event until `held` is done; the error it ends with comes last. */
async function follow(sse: SseClient, held: () => void | Promise<void>): Promise<string[]> {
  const seen: string[] = []
  try {
    for await (const {lastEventId} of sse) {
      seen.push(lastEventId)
      if (seen.length === 1) await held()
    }
  } catch (error) {
    seen.push((error as SseError).reason)
  }
  return seen
}

test('close: a loop gets nothing more, not even what had come', async () => {
  const sse = await client(stream(event('e-1'), event('e-2'), event('e-3')))
  let come = 0
  sse.addEventListener('message', () => void come++)
  const seen = await follow(sse, async () => {
    await until(() => come === 3, 'all three')
    assert.equal(sse.lastEventId, 'e-1')
    sse.close()
  })
  assert.deepEqual(seen, ['e-1'])
})

test('close and connect: the loop goes on with the new stream', async () => {
  const sse = await client(stream(event('e-1')), stream(event('e-2')), refused(204))
  sse.addEventListener('message', ({lastEventId}) => {
    if (lastEventId === 'e-2') setTimeout(() => sse.reconnect())
  })
  const seen = await follow(sse, () => {
    sse.close()
    sse.connect()
  })
  assert.deepEqual(seen, ['e-1', 'e-2'])
})

test('a client that gives up: every loop still gets what had come', async () => {
  const sse = await client(ended(event('e-1'), event('e-2')), refused(404))
  const stopped = () => until(() => sse.readyState === CLOSED, 'the stop')
  const first = follow(sse, stopped)
  const second = follow(sse, async () => void (await first))
  assert.deepEqual(await first, ['e-1', 'e-2', 'refused'])
  assert.deepEqual(await second, ['e-1', 'e-2', 'refused'])
})

test('close after that: what had come is dropped after all', async () => {
  const sse = await client(ended(event('e-1'), event('e-2')), refused(404))
  const seen = await follow(sse, async () => {
    await until(() => sse.readyState === CLOSED, 'the stop')
    sse.close()
  })
  assert.deepEqual(seen, ['e-1', 'refused'])
})
