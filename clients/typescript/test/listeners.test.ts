/** What a listener throws is told to whoever can be told without harm. */
import assert from 'node:assert/strict'
import {afterEach, test} from 'node:test'
import {Listeners} from '../dist/listeners.js'

const page = globalThis as unknown as Record<string, unknown>
const {error: toConsole} = console

afterEach(() => {
  delete page['document']
  delete page['reportError']
  console.error = toConsole
})

function thrown(): string[] {
  const told: string[] = []
  page['reportError'] = () => told.push('reported')
  console.error = () => told.push('console')
  const fail = () => {
    throw new Error('mine')
  }
  const listeners = new Listeners()
  listeners.add('message', fail)
  listeners.emit({type: 'message'}, () => true)
  return told
}

test('outside a page it goes to the console: in Deno reportError ends the process', () => {
  assert.deepEqual(thrown(), ['console'])
})

test('in a page it is reported like any other', () => {
  page['document'] = {}
  assert.deepEqual(thrown(), ['reported'])
})

test('once, a signal, removal by another listener, and being added twice, as in an EventTarget', () => {
  const listeners = new Listeners()
  const seen: string[] = []
  const say = (what: string) => () => void seen.push(what)
  const abort = new AbortController()
  const {signal} = abort
  const twice = say('twice')
  const removed = say('removed')
  listeners.add('message', say('once'), {once: true})
  listeners.add('message', say('until'), {signal})
  listeners.add('message', twice)
  listeners.add('message', twice)
  listeners.add('message', () => listeners.remove('message', removed))
  listeners.add('message', removed)
  const emit = () => listeners.emit({type: 'message'}, () => true)
  emit()
  abort.abort()
  listeners.add('message', say('too late'), {signal})
  emit()
  assert.deepEqual(seen, ['once', 'until', 'twice', 'twice'])
})

test('a signal that aborts does not remove what was added anew without it', () => {
  const listeners = new Listeners()
  let calls = 0
  const listener = () => void calls++
  const abort = new AbortController()
  listeners.add('message', listener, {signal: abort.signal})
  listeners.remove('message', listener)
  assert.equal(
    listeners.has(() => true),
    false
  )
  listeners.add('message', listener)
  abort.abort()
  listeners.emit({type: 'message'}, () => true)
  assert.equal(calls, 1)
})

test('what a promise is rejected with is reported, and so is what the report throws', async () => {
  const told: unknown[] = []
  console.error = (error: unknown) => told.push((error as Error).message)
  const onError = (error: unknown) => {
    throw new Error(`worse than ${(error as Error).message}`)
  }
  const listeners = new Listeners(onError)
  listeners.add('message', (() => Promise.reject(new Error('rejected'))) as () => void)
  listeners.emit({type: 'message'}, () => true)
  await new Promise((resolve) => setTimeout(resolve))
  assert.deepEqual(told, ['worse than rejected'])
})
