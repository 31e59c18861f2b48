/** The pacer decides as the shared scenarios say. */
import assert from 'node:assert/strict'
import {test} from 'node:test'
import {AckPacer} from '../dist/ack-pacer.js'
import {DEFAULTS} from '../dist/decisions.js'
import {readVectors, toSettings} from './vectors.js'

interface Step {
  at: number
  call: 'acknowledge' | 'tick' | 'flush' | 'answered'
  id: string
  random?: number
  status: number
  retry_after_ms?: number
  do: string
  waiting: string
  sending: string
  due: number | null
}

interface Scenario {
  name: string
  every_ms: number
  settings: Record<string, number | boolean | null>
  steps: Step[]
}

function call(pacer: AckPacer, step: Step): string {
  const at = {nowMs: step.at, random: step.random ?? 0.5}
  if (step.call === 'acknowledge') {
    pacer.acknowledge(step.id, at)
    return ''
  }
  if (step.call === 'answered') {
    return pacer.answered(step.id, step.status, step.retry_after_ms ?? 0, at)
  }
  const id = pacer[step.call](at)
  return id && `send ${id}`
}

for (const {name, every_ms, settings, steps} of readVectors<Scenario[]>(
  'client/acknowledgements.json'
)) {
  test(name, () => {
    const pacer = new AckPacer(every_ms, {...DEFAULTS, ...toSettings(settings)})
    for (const [index, step] of steps.entries()) {
      const done = call(pacer, step)
      const deadlineMs = pacer.deadlineMs()
      const due = deadlineMs === Infinity ? null : deadlineMs
      const seen = {do: done, waiting: pacer.waiting, sending: pacer.sending, due}
      const expected = {do: step.do, waiting: step.waiting, sending: step.sending, due: step.due}
      assert.deepEqual(seen, expected, `step ${index}: ${step.call}`)
    }
  })
}
