/** Delays, statuses and Retry-After are decided as the shared vectors say. */
import assert from 'node:assert/strict'
import {test} from 'node:test'
import {DEFAULTS, judge, retryAfterMs, retryDelayMs} from '../dist/decisions.js'
import {requestHeaders} from '../dist/request.js'
import {readVectors, toSettings} from './vectors.js'

interface Vectors {
  retry_delay_ms: {
    attempt: number
    floor_ms: number
    assigned: boolean
    random: number
    settings: Record<string, number>
    expect: number
  }[]
  judge: {status: number; content_type: string; expect: string}[]
  retry_after_ms: {header: string | null; now_ms: number; expect: number}[]
  last_event_id_header: {id: string; times: number; expect: string}[]
}

const vectors = readVectors<Vectors>('client/decisions.json')

test('delays', () => {
  for (const vector of vectors.retry_delay_ms) {
    const {attempt, floor_ms: floorMs, assigned, random, settings, expect} = vector
    const own = {...DEFAULTS, ...toSettings(settings)}
    const delayMs = retryDelayMs(attempt, floorMs, assigned, random, own)
    assert.equal(delayMs, expect, JSON.stringify(vector))
  }
})

test('statuses and content types', () => {
  for (const {status, content_type: contentType, expect} of vectors.judge) {
    assert.equal(judge(status, contentType), expect, `${status} ${contentType}`)
  }
})

test('Retry-After', () => {
  for (const {header, now_ms: nowMs, expect} of vectors.retry_after_ms) {
    assert.equal(retryAfterMs(header ?? '', nowMs), expect, `${header}`)
  }
})

test('the ids that a request can carry, as UTF-8', () => {
  for (const {id, times, expect} of vectors.last_event_id_header) {
    const sent = requestHeaders({}, id.repeat(times))['last-event-id'] ?? ''
    assert.equal(sent, expect.repeat(times), `${times} x ${JSON.stringify(id)}`)
  }
})
