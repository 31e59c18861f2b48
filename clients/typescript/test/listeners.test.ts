/** What a listener throws is told to whoever can be told without harm. */
import assert from 'node:assert/strict'
import {afterEach, test} from 'node:test'
import {emit} from '../dist/listeners.js'

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
  emit(new Map([['message', new Set([fail])]]), {type: 'message'}, () => true)
  return told
}

test('outside a page it goes to the console: in Deno reportError ends the process', () => {
  assert.deepEqual(thrown(), ['console'])
})

test('in a page it is reported like any other', () => {
  page['document'] = {}
  assert.deepEqual(thrown(), ['reported'])
})
