/** Clocks that are set, machines that sleep, and timers that are asked for more than they can do. */
import assert from 'node:assert/strict'
import {afterEach, test} from 'node:test'
import {moment} from '../dist/clock.js'
import {SseClient} from '../dist/index.js'
import {connected, serve, stream, until} from './server.js'

const {now} = Date
const {setTimeout: wait} = globalThis
const cleanups: (() => void | Promise<void>)[] = []

afterEach(async () => {
  Date.now = now
  globalThis.setTimeout = wait
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

test('time leaps with the wall clock, as after a sleep, and never goes back with it', () => {
  const {nowMs} = moment()
  Date.now = () => now() + 60_000
  const leaptMs = moment().nowMs
  assert.ok(leaptMs - nowMs >= 60_000 && leaptMs - nowMs < 65_000)
  Date.now = now
  const backMs = moment().nowMs
  assert.ok(backMs >= leaptMs && backMs - leaptMs < 5000)
})

test('a quiet stream lives on when the wall clock is set back', async () => {
  const server = await serve(stream(connected('a', 'e-1')))
  const sse = new SseClient(server.url, {idleTimeoutMs: 500})
  cleanups.push(
    () => server.close(),
    () => sse.close()
  )
  const errors: string[] = []
  sse.addEventListener('error', ({reason}) => errors.push(reason))
  sse.connect()
  await until(() => sse.lastEventId === 'e-1', 'the stream')
  Date.now = () => now() - 3_600_000
  for (let beats = 0; beats < 15; beats++) {
    for (const response of server.open) response.write(':\n')
    await new Promise((resolve) => wait(resolve, 50))
  }
  assert.deepEqual(errors, [])
  assert.equal(server.requests.length, 1)
})

test('a wait longer than a timer takes is no hot loop', async () => {
  const server = await serve(stream(connected('a', 'e-1')))
  const asked: number[] = []
  globalThis.setTimeout = ((ring: () => void, ms: number) => {
    asked.push(ms)
    return wait(ring, ms)
  }) as typeof setTimeout
  const sse = new SseClient(server.url, {idleTimeoutMs: 1e11, connectTimeoutMs: 1e11})
  cleanups.push(
    () => server.close(),
    () => sse.close()
  )
  sse.connect()
  await until(() => sse.lastEventId === 'e-1', 'the stream')
  assert.ok(asked.includes(2 ** 31 - 1))
  assert.ok(asked.every((ms) => ms < 2 ** 31))
})
