/** Tabs that share one stream: one connection, every event once in each, and a succession. */
import assert from 'node:assert/strict'
import {afterEach, test} from 'node:test'
import {CLOSED, OPEN} from '../dist/index.js'
import {SharedSseClient, type SharedPlatform} from '../dist/shared.js'
import {connected, event, refused, serve, stream, until, type Answer} from './server.js'

const cleanups: (() => void | Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Locks for one name, first come first served, as the Web Locks API grants them. */
function platform(): SharedPlatform {
  let last: Promise<unknown> = Promise.resolve()
  const request = (_: string, {signal}: {signal: AbortSignal}, hold: () => Promise<void>) => {
    const mine = last.then(() => (signal.aborted ? undefined : hold()))
    last = mine.catch(() => undefined)
    return mine
  }
  return {locks: {request} as unknown as LockManager, channel: (name) => new BroadcastChannel(name)}
}

async function tabs(count: number, ...answers: Answer[]) {
  const server = await serve(...answers)
  cleanups.push(() => server.close())
  const shared = platform()
  const made = Array.from({length: count}, () => {
    const seen: string[] = []
    const tab = new SharedSseClient(server.url, {platform: shared, initialDelayMs: 10})
    tab.addEventListener('message', ({lastEventId}) => seen.push(lastEventId))
    cleanups.push(() => tab.close())
    return {tab, seen}
  })
  return {server, tabs: made}
}

test('three tabs, one connection; the next goes on when the leader leaves', async () => {
  const {server, tabs: made} = await tabs(
    3,
    stream(connected('a', 'e-1')),
    // The successor asks after what it has seen itself; the last event comes to it again.
    stream(connected('b', 'e-1'), event('e-2'), event('e-3'))
  )
  for (const {tab} of made) tab.connect()
  await until(() => made.every(({tab}) => tab.readyState === OPEN), 'all open')
  assert.deepEqual(
    made.map(({tab}) => tab.leads),
    [true, false, false]
  )
  assert.equal(server.requests.length, 1)
  for (const response of server.open) response.write(event('e-2'))
  await until(() => made.every(({seen}) => seen.length === 1), 'the event in every tab')
  made[0]?.tab.close()
  await until(() => made.slice(1).every(({seen}) => seen.length === 2), 'the next event')
  assert.deepEqual(
    made.map(({seen}) => seen),
    [['e-2'], ['e-2', 'e-3'], ['e-2', 'e-3']]
  )
  assert.equal(made[1]?.tab.leads, true)
  assert.equal(server.requests[1]?.headers['last-event-id'], 'e-2')
})

test('a tab that comes later learns the state and the position', async () => {
  const {server, tabs: made} = await tabs(2, stream(connected('a', 'e-1'), event('e-2')))
  made[0]?.tab.connect()
  await until(() => made[0]?.seen.length === 1, 'the event')
  made[1]?.tab.connect()
  await until(() => made[1]?.tab.lastEventId === 'e-2', 'the position')
  assert.equal(made[1]?.tab.readyState, OPEN)
  for (const response of server.open) response.write(event('e-5', '{}', 'cursor'))
  await until(() => made[1]?.tab.lastEventId === 'e-5', 'the moved position')
})

test('a stop is told to every tab, and every tab can start again', async () => {
  const {server, tabs: made} = await tabs(2, refused(404), stream(event('e-1')))
  const reasons: string[] = []
  for (const {tab} of made) {
    tab.addEventListener('error', ({reason}) => reasons.push(reason))
    tab.connect()
  }
  await until(() => reasons.length === 2, 'both')
  await until(() => made.every(({tab}) => tab.readyState === CLOSED), 'all closed')
  assert.equal(server.requests.length, 1)
  made[1]?.tab.connect()
  await until(() => made[1]?.seen.length === 1, 'the event')
})

test('without ids of its own for every event nothing is taken for a repetition', async () => {
  const {tabs: made} = await tabs(1, stream('id: 7\ndata: x\n\ndata: y\n\n'))
  made[0]?.tab.connect()
  await until(() => made[0]?.seen.length === 2, 'both events')
})

test('without locks every tab leads itself', async () => {
  const server = await serve(stream(event('e-1')))
  cleanups.push(() => server.close())
  const tab = new SharedSseClient(server.url, {platform: {}, name: 'own'})
  cleanups.push(() => tab.close())
  const listener = () => undefined
  tab.addEventListener('message', listener)
  tab.removeEventListener('message', listener)
  tab.connect()
  tab.connect()
  await until(() => tab.lastEventId === 'e-1', 'the event')
  assert.equal(server.requests.length, 1)
})
