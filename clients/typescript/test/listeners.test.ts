/** What a listener throws is told to whoever can be told without harm. */
import assert from 'node:assert/strict'
import {afterEach, test} from 'node:test'
import {Listeners} from '../dist/listeners.js'

class Told extends Listeners {
  get any(): boolean {
    return this.heard
  }

  send(): void {
    this.emit({type: 'message'}, () => true)
  }
}

const page = globalThis as unknown as Record<string, unknown>
const {error: toConsole} = console

afterEach(() => {
  delete page['document']
  delete page['reportError']
  console.error = toConsole
})

async function thrown(): Promise<string[]> {
  const told: string[] = []
  page['reportError'] = () => told.push('reported')
  console.error = () => told.push('console')
  const fail = () => {
    throw new Error('mine')
  }
  const listeners = new Told(undefined)
  listeners.addEventListener('message', fail)
  listeners.send()
  await new Promise((resolve) => setTimeout(resolve))
  return told
}

test('outside a page it goes to the console: in Deno reportError ends the process', async () => {
  assert.deepEqual(await thrown(), ['console'])
})

test('in a page it is reported like any other', async () => {
  page['document'] = {}
  assert.deepEqual(await thrown(), ['reported'])
})

test('once, a signal, removal by another listener, and being added twice, as in an EventTarget', () => {
  const listeners = new Told(undefined)
  const seen: string[] = []
  const say = (what: string) => () => void seen.push(what)
  const abort = new AbortController()
  const {signal} = abort
  const twice = say('twice')
  const removed = say('removed')
  listeners.addEventListener('message', say('once'), {once: true})
  listeners.addEventListener('message', say('until'), {signal})
  listeners.addEventListener('message', twice)
  listeners.addEventListener('message', twice)
  listeners.addEventListener('message', () => listeners.removeEventListener('message', removed))
  listeners.addEventListener('message', removed)
  const emit = () => listeners.send()
  emit()
  abort.abort()
  listeners.addEventListener('message', say('too late'), {signal})
  emit()
  assert.deepEqual(seen, ['once', 'until', 'twice', 'twice'])
})

test('a signal that aborts does not remove what was added anew without it', () => {
  const listeners = new Told(undefined)
  let calls = 0
  const listener = () => void calls++
  const abort = new AbortController()
  listeners.addEventListener('message', listener, {signal: abort.signal})
  listeners.removeEventListener('message', listener)
  assert.equal(listeners.any, false)
  listeners.addEventListener('message', listener)
  abort.abort()
  listeners.send()
  assert.equal(calls, 1)
})

test('what a promise is rejected with is reported, and so is what the report throws', async () => {
  const told: unknown[] = []
  console.error = (error: unknown) => told.push((error as Error).message)
  const onError = (error: unknown) => {
    throw new Error(`worse than ${(error as Error).message}`)
  }
  const listeners = new Told(onError)
  listeners.addEventListener('message', (() => Promise.reject(new Error('rejected'))) as () => void)
  listeners.send()
  await new Promise((resolve) => setTimeout(resolve))
  assert.deepEqual(told, ['worse than rejected'])
})
