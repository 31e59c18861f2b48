/** What a loop still gets when the client is closed, and when it has given up by itself. */
import assert from 'node:assert/strict'
import {Readable} from 'node:stream'
import {afterEach, test} from 'node:test'
import {CLOSED, SseClient, type SseError} from '../dist/index.js'
import {type Answer, ended, event, refused, serve, stream, until} from './server.js'

const cleanups: (() => void | Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function client(...answers: Answer[]): Promise<SseClient> {
  const server = await serve(...answers)
  const sse = new SseClient(server.url, {initialDelayMs: 10})
  cleanups.push(
    () => server.close(),
    () => sse.close()
  )
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

const many = Array.from({length: 3000}, (_, n) => event(`e-${n + 1}`))

/** Answers what comes after the id that is asked for. */
const resuming: Answer = (request, response) => {
  const from = Number(request.headers['last-event-id']?.slice(2) ?? 0)
  stream(...many.slice(from))(request, response)
}

for (const [how, connects] of [
  ['and the client closed with it', false],
  ['and the client stays open', true]
] as const) {
  test(`a loop that is left ${how}: the next one goes on behind it`, async () => {
    const sse = await client(resuming)
    if (connects) sse.connect()
    for await (const {lastEventId} of sse) if (lastEventId === 'e-3') break
    assert.equal(sse.lastEventId, 'e-3')
    let next = 4
    for await (const {lastEventId} of sse) {
      assert.equal(lastEventId, `e-${next++}`)
      if (next > 3000) break
    }
    assert.equal(sse.lastEventId, 'e-3000')
  })
}

test('connected before any loop: the first one begins at the beginning', async () => {
  const sse = await client(resuming)
  let opened = 0
  sse.addEventListener('open', () => void opened++)
  sse.connect()
  await until(() => opened === 1, 'the stream')
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(sse.lastEventId, '')
  for await (const {lastEventId} of sse) {
    assert.equal(lastEventId, 'e-1')
    break
  }
})

test('closed by an exception, by return and by close: nothing is skipped', async () => {
  const sse = await client(resuming)
  const seen: string[] = []
  await assert.rejects(async () => {
    for await (const {lastEventId} of sse) {
      seen.push(lastEventId)
      if (seen.length === 2) throw new Error('mine')
    }
  }, /mine/)
  const events = sse[Symbol.asyncIterator]()
  seen.push((await events.next()).value!.lastEventId)
  await events.return()
  for await (const {lastEventId} of sse) {
    seen.push(lastEventId)
    if (seen.length === 4) sse.close()
  }
  for await (const {lastEventId} of sse) {
    seen.push(lastEventId)
    break
  }
  assert.deepEqual(seen, ['e-1', 'e-2', 'e-3', 'e-4', 'e-5'])
})

test('an iterator that is abandoned holds up neither listeners nor another loop', async () => {
  const sse = await client(resuming)
  let heard = 0
  sse.addEventListener('message', () => void heard++)
  const abandoned = sse[Symbol.asyncIterator]()
  assert.equal((await abandoned.next()).value?.lastEventId, 'e-1')
  await until(() => heard === 3000, 'all events')
  let next = 0
  const late = await abandoned.next()
  assert.ok(late.value, 'what it has missed is told, or kept')
  sse.close()
  for await (const {lastEventId} of await client(resuming)) {
    assert.equal(lastEventId, `e-${++next}`)
    if (next === 3000) break
  }
})

test('return does not wait for the next event, nor does the destruction of a Readable', async () => {
  const server = await serve(stream(event('e-1')))
  const sse = new SseClient(server.url)
  cleanups.push(
    () => server.close(),
    () => sse.close()
  )
  const events = sse[Symbol.asyncIterator]()
  await events.next()
  const pending = events.next()
  assert.deepEqual(await events.return(), {done: true, value: undefined})
  assert.deepEqual(await pending, {done: true, value: undefined})
  await until(() => server.open.size === 0, 'the connection to go')
  for (const error of [undefined, new Error('mine')]) {
    const readable = Readable.from(sse)
    readable.on('error', () => {})
    await new Promise((resolve) => readable.once('data', resolve))
    readable.destroy(error)
    await until(() => server.open.size === 0, 'the connection to go again')
    assert.equal(sse.readyState, CLOSED)
  }
})

test('the last loop that is left closes what a loop has opened', async () => {
  const sse = await client(stream(event('e-1')))
  const [one, two] = [sse[Symbol.asyncIterator](), sse[Symbol.asyncIterator]()]
  await Promise.all([one.next(), two.next()])
  await one.return()
  assert.notEqual(sse.readyState, CLOSED)
  await two.return()
  assert.equal(sse.readyState, CLOSED)
})
