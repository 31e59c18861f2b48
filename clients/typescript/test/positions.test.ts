/** Received, handed over and handled are told apart as the shared scenarios say. */
import assert from 'node:assert/strict'
import {test} from 'node:test'
import {HandlingInbox} from '../dist/handling-inbox.js'
import {CAPACITY, Inbox, type Loop} from '../dist/inbox.js'
import {readVectors} from './vectors.js'

interface Step {
  call: 'event' | 'position' | 'take' | 'leave' | 'drop'
  id: string
  do: string
  last_event_id: string
  handled: string
  waiting: number
}

interface Scenario {
  name: string
  again: boolean
  start: string
  steps: Step[]
}

function message(id: string) {
  return {type: 'message', data: id, lastEventId: id}
}

/** Carries out the steps with one loop at a time. */
function run({again, start, steps}: Scenario): void {
  const inbox = again ? new HandlingInbox(start) : new Inbox(start)
  let loop: Loop = inbox.open()
  let running = true
  const call = (step: Step): string => {
    switch (step.call) {
      case 'event':
        inbox.receive(step.id, message(step.id))
        return ''
      case 'position':
        inbox.receive(step.id)
        return ''
      case 'take':
        if (!running) loop = inbox.open()
        running = true
        return inbox.take(loop)?.lastEventId ?? ''
      case 'leave':
        if (running) inbox.leave(loop)
        running = false
        return ''
      case 'drop':
        inbox.drop()
        // As the client does where no loop is there to take what comes.
        if (!running) inbox.leave((loop = inbox.open()))
        return ''
    }
  }
  for (const [index, step] of steps.entries()) {
    const done = call(step)
    const seen = {
      do: done,
      last_event_id: inbox.place.id,
      handled: inbox instanceof HandlingInbox ? inbox.handled.id : inbox.place.id,
      waiting: inbox.length + ((loop as {again?: unknown}).again ? 1 : 0)
    }
    const {do: expected, last_event_id, handled, waiting} = step
    const wanted = {do: expected, last_event_id, handled, waiting}
    assert.deepEqual(seen, wanted, `step ${index}: ${step.call}`)
  }
}

for (const scenario of readVectors<Scenario[]>('client/positions.json')) {
  test(scenario.name, () => run(scenario))
}

function filled(inbox: Inbox, count: number): void {
  const first = inbox.received.n + 1
  for (let n = first; n < first + count; n++) inbox.receive(`e-${n}`, message(`e-${n}`))
}

test('two loops get every event each, and what is handed over is what both have', () => {
  const inbox = new Inbox()
  const [one, two] = [inbox.open(), inbox.open()]
  filled(inbox, 3)
  for (const id of ['e-1', 'e-2', 'e-3']) assert.equal(inbox.take(one)?.lastEventId, id)
  assert.equal(inbox.take(two)?.lastEventId, 'e-1')
  assert.equal(inbox.place.id, 'e-1')
  assert.equal(inbox.length, 2)
  inbox.leave(two)
  assert.equal(inbox.place.id, 'e-3', 'a loop that was left holds nobody up')
  assert.equal(inbox.take(inbox.open())?.lastEventId, 'e-2', 'and the next goes on with it')
})

test('a loop that takes nothing is gone on without, and told what it has missed', () => {
  const inbox = new Inbox()
  const [quick, slow] = [inbox.open(), inbox.open()]
  inbox.receive('e-1', message('e-1'))
  inbox.take(quick)
  inbox.take(slow)
  filled(inbox, CAPACITY)
  inbox.take(quick)
  inbox.lag(false)
  assert.equal(inbox.place.id, 'e-2')
  assert.ok(inbox.length < CAPACITY)
  const gap = inbox.take(slow)
  assert.deepEqual([gap?.type, gap?.lastEventId], ['gap', 'e-2'])
  assert.deepEqual(JSON.parse(gap!.data), {from: 'e-1', to: 'e-2', reason: 'lagged'})
  assert.equal(inbox.take(slow)?.lastEventId, 'e-3')
})

test('what is remembered of the past holds nothing of what comes after it', () => {
  const inbox = new HandlingInbox()
  const [quick, abandoned] = [inbox.open(), inbox.open()]
  inbox.receive('e-1', message('e-1'))
  const {before} = inbox
  inbox.take(quick)
  inbox.lag(true)
  inbox.receive('e-2', message('e-2'))
  assert.deepEqual([abandoned.lost, abandoned.at.next, before.next], [true, undefined, undefined])
  const past = quick.at
  inbox.take(quick)
  assert.deepEqual([past.next, quick.at.id], [undefined, 'e-2'])
  const heard = new Inbox()
  const {received} = heard
  heard.receive('e-1', message('e-1'))
  assert.equal(received.next, undefined, 'without a loop nothing is kept')
})

test('a place that a slower loop has yet to pass leads on', () => {
  const inbox = new Inbox()
  const [quick, slow] = [inbox.open(), inbox.open()]
  filled(inbox, 3)
  const ids = (loop: Loop) => [1, 2, 3].map(() => inbox.take(loop)?.lastEventId)
  assert.deepEqual(ids(quick), ['e-1', 'e-2', 'e-3'])
  assert.deepEqual(ids(slow), ['e-1', 'e-2', 'e-3'])
})

test('nobody else is there: nothing is gone on without', () => {
  const inbox = new Inbox()
  const only = inbox.open()
  filled(inbox, CAPACITY)
  inbox.lag(false)
  assert.equal(inbox.length, CAPACITY)
  inbox.lag(true)
  assert.equal(inbox.length, 0, 'but for those that listen')
  assert.equal(inbox.take(only)?.type, 'gap')
})

test('what is opened after a drop resumes after what was handed over', () => {
  const inbox = new HandlingInbox('e-0')
  const loop = inbox.open()
  assert.equal(inbox.resume(), 'e-0')
  filled(inbox, 3)
  assert.equal(inbox.resume(), 'e-3', 'nothing was dropped')
  inbox.take(loop)
  inbox.drop()
  assert.equal(inbox.resume({n: 0, id: 'held'}), 'held')
  inbox.drop()
  assert.equal(inbox.resume(), 'held')
})
