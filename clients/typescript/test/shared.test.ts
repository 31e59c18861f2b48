/** Tabs that share one stream: one connection, every event once in each, and a succession. */
import assert from 'node:assert/strict'
import {afterEach, test} from 'node:test'
import {CLOSED, OPEN} from '../dist/index.js'
import {type SharedPlatform, SharedSseClient, type SharedSseClientOptions} from '../dist/shared.js'
import {type Answer, connected, event, refused, serve, stream, until} from './server.js'

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

function tabs(count: number, ...answers: Answer[]) {
  return tabsWith({}, count, ...answers)
}

async function tabsWith(options: SharedSseClientOptions, count: number, ...answers: Answer[]) {
  const server = await serve(...answers)
  cleanups.push(() => server.close())
  const shared = platform()
  const made = Array.from({length: count}, () => {
    const seen: string[] = []
    const own = {platform: shared, initialDelayMs: 10, ...options}
    const tab = new SharedSseClient(server.url, own)
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

test('an event and a cursor after it in one chunk: every tab gets the event', async () => {
  const {server, tabs: made} = await tabs(2, stream(connected('a', 'e-1')))
  for (const {tab} of made) tab.connect()
  await until(() => made.every(({tab}) => tab.readyState === OPEN), 'both open')
  const chunk = event('e-5') + event('e-6', '{}', 'cursor')
  for (const response of server.open) response.write(chunk)
  await until(() => made.every(({tab}) => tab.lastEventId === 'e-6'), 'the position')
  assert.deepEqual(
    made.map(({seen}) => seen),
    [['e-5'], ['e-5']]
  )
})

test('the next goes on where the stream began, also where no event has come yet', async () => {
  const {server, tabs: made} = await tabs(2, stream(connected('a', 'e-1')))
  for (const {tab} of made) tab.connect()
  await until(() => made.every(({tab}) => tab.lastEventId === 'e-1'), 'the position')
  made[0]?.tab.close()
  await until(() => server.requests.length === 2, 'the next stream')
  assert.equal(server.requests[1]?.headers['last-event-id'], 'e-1')
})

test('a gap is heard that stands at the very position at which the stream begins', async () => {
  const gap = event('e-4', '{"from":"d-9","to":"e-4","reason":"epoch"}', 'gap')
  const options = {lastEventId: 'd-9'}
  const {tabs: made} = await tabsWith(options, 1, stream(connected('a', 'e-4'), gap))
  const gaps: string[] = []
  made[0]?.tab.addEventListener('gap', ({lastEventId}) => gaps.push(lastEventId))
  made[0]?.tab.connect()
  await until(() => gaps.length === 1, 'the gap')
})

test('a tab that was put aside is told what it has missed, and a new one has missed nothing', async () => {
  const {server, tabs: made} = await tabs(3, stream(connected('a', 'e-1'), event('e-2')))
  const gaps: string[] = []
  for (const {tab} of made) tab.addEventListener('gap', ({data}) => gaps.push(data))
  const [leader, aside, late] = made.map(({tab}) => tab)
  const life = new EventTarget()
  const page = globalThis as unknown as Record<string, unknown>
  leader!.connect()
  page['addEventListener'] = life.addEventListener.bind(life)
  aside!.connect()
  delete page['addEventListener']
  await until(() => aside!.lastEventId === 'e-2', 'the event')
  life.dispatchEvent(new Event('pagehide'))
  for (const response of server.open) response.write(event('e-3') + event('e-4'))
  await until(() => leader!.lastEventId === 'e-4', 'what is missed')
  late!.connect()
  await until(() => late!.lastEventId === 'e-4', 'the position')
  life.dispatchEvent(Object.assign(new Event('pageshow'), {persisted: true}))
  await until(() => aside!.lastEventId === 'e-4', 'the position after the pause')
  assert.deepEqual(
    gaps.map((data) => JSON.parse(data)),
    [{from: 'e-2', to: 'e-4', reason: 'lagged'}]
  )
  for (const response of server.open) response.write(event('e-5'))
  await until(() => made.every(({tab}) => tab.lastEventId === 'e-5'), 'the next event')
  assert.deepEqual(made[1]?.seen, ['e-2', 'e-5'])
  assert.equal(gaps.length, 1)
})

test('what comes before the first word of the position is told as lost with the rest', async () => {
  const waiting = {request: () => new Promise(() => undefined)} as unknown as LockManager
  const options = {platform: {...platform(), locks: waiting}, lastEventId: 'e-1', name: 'early'}
  const {tabs: made} = await tabsWith(options, 1, refused(500))
  const gaps: string[] = []
  made[0]?.tab.addEventListener('gap', ({data}) => gaps.push(data))
  const leader = new BroadcastChannel('tidegate:early')
  cleanups.push(() => leader.close())
  const pass = (lastEventId: string) => {
    const passed = {type: 'message', data: 'x', lastEventId}
    leader.postMessage({kind: 'event', event: passed, ordered: true})
  }
  leader.onmessage = () => {
    pass('e-3')
    leader.postMessage({kind: 'state', readyState: OPEN, lastEventId: 'e-3'})
    pass('e-4')
  }
  made[0]?.tab.connect()
  await until(() => made[0]?.tab.lastEventId === 'e-4', 'the second event')
  assert.deepEqual(
    gaps.map((data) => JSON.parse(data)),
    [{from: 'e-1', to: 'e-3', reason: 'lagged'}]
  )
  assert.deepEqual(made[0]?.seen, ['e-4'])
})

test('what comes just before a stop reaches every tab, and then the stop', async () => {
  const ids = Array.from({length: 100}, (_, n) => `e-${n + 2}`)
  const chunk = [connected('a', 'e-1'), ...ids.map((id) => event(id)), 'x'.repeat(500)]
  const {tabs: made} = await tabsWith({maxLineLength: 400}, 2, stream(...chunk))
  for (const {tab, seen} of made) {
    tab.addEventListener('error', ({reason}) => seen.push(reason))
    tab.connect()
  }
  await until(() => made.every(({tab}) => tab.readyState === CLOSED), 'the stop in both')
  for (const {seen} of made) assert.deepEqual(seen, [...ids, 'oversized'])
})

test('a tab may start again as soon as it hears of the stop', async () => {
  const {server, tabs: made} = await tabs(2, refused(404), stream(event('e-1')))
  for (const {tab} of made) {
    tab.addEventListener('error', () => tab.connect())
    tab.connect()
  }
  await until(() => made.every(({seen}) => seen.length === 1), 'the event in both')
  assert.equal(server.requests.length, 2)
})

test('an error that cannot be cloned is told to the others without its cause', async () => {
  let calls = 0
  const headers = () => {
    if (!calls++) throw {message: 'no token', retry: () => undefined}
    return {}
  }
  const {tabs: made} = await tabsWith({headers}, 2, stream(event('e-1')))
  const causes: unknown[] = []
  for (const {tab} of made) {
    tab.addEventListener('error', ({error}) => causes.push((error as Error)?.message))
    tab.connect()
  }
  await until(() => made.every(({seen}) => seen.length === 1), 'the event in both')
  assert.deepEqual(causes, ['no token', undefined])
})

test('where locks are refused every tab leads itself', async () => {
  const request = () => Promise.reject(new DOMException('opaque origin', 'SecurityError'))
  const locks = {request} as unknown as LockManager
  const refusing = {...platform(), locks}
  const {server, tabs: made} = await tabsWith({platform: refusing}, 2, stream(event('e-1')))
  for (const {tab} of made) tab.connect()
  await until(() => made.every(({tab}) => tab.leads && tab.lastEventId === 'e-1'), 'both')
  assert.equal(server.requests.length, 2)
  assert.deepEqual(
    made.map(({seen}) => seen),
    [['e-1'], ['e-1']]
  )
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

test('attempts used up: every tab is told, and asks again when the network is back', async () => {
  const life = new EventTarget()
  const page = globalThis as unknown as Record<string, unknown>
  page['addEventListener'] = life.addEventListener.bind(life)
  cleanups.push(() => void delete page['addEventListener'])
  const {tabs: made} = await tabsWith({maxAttempts: 0}, 2, refused(503), stream(event('e-1')))
  const reasons: string[] = []
  for (const {tab} of made) {
    tab.addEventListener('error', ({reason}) => void reasons.push(reason))
    tab.connect()
  }
  await until(() => reasons.length === 2, 'the end in both')
  assert.deepEqual(reasons, ['exhausted', 'exhausted'])
  assert.ok(made.every(({tab}) => tab.readyState === CLOSED))
  life.dispatchEvent(new Event('online'))
  await until(() => made.some(({seen}) => seen.length === 1), 'the event')
})

test('a signal takes a tab out, and keeps it out', async () => {
  const abort = new AbortController()
  const {server, tabs: made} = await tabsWith({signal: abort.signal}, 1, stream(event('e-1')))
  made[0]?.tab.connect()
  await until(() => made[0]?.seen.length === 1, 'the event')
  abort.abort()
  assert.equal(made[0]?.tab.readyState, CLOSED)
  await until(() => server.open.size === 0, 'the connection to go')
  made[0]?.tab.connect()
  assert.equal(made[0]?.tab.readyState, CLOSED)
})
