/** The connector decides as the shared scenarios say. */
import assert from 'node:assert/strict'
import {test} from 'node:test'
import type {Action, Ending} from '../dist/actions.js'
import {Connector} from '../dist/connector.js'
import {DEFAULTS} from '../dist/decisions.js'
import {readVectors, toSettings} from './vectors.js'

interface Step {
  at: number
  call: string
  conn: number
  random?: number
  status: number
  content_type: string
  retry_after_ms?: number
  event: {type: string; data: string; id: string}
  how: Ending
  retry_ms: number
  id: string
  online: boolean
  do: string[]
  state: string
  due: number | null
  id_after: string
}

interface Scenario {
  name: string
  settings: Record<string, number | boolean | string | null>
  steps: Step[]
}

function call(connector: Connector, step: Step): Action[] {
  const at = {nowMs: step.at, random: step.random ?? 0.5}
  switch (step.call) {
    case 'connect':
      return connector.connect(at)
    case 'close':
      return connector.close()
    case 'tick':
      return connector.tick(at)
    case 'wake':
      return connector.wake(at)
    case 'online':
      connector.online = step.online
      return []
    case 'responded': {
      const waitMs = step.retry_after_ms ?? 0
      return connector.responded(step.conn, step.status, step.content_type, waitMs, at)
    }
    case 'event': {
      const {type, data, id} = step.event
      return connector.event(step.conn, {type, data, lastEventId: id}, at)
    }
    case 'ended':
      return connector.ended(step.conn, step.how, at)
    case 'retry':
      connector.retry(step.conn, step.retry_ms)
      return []
    case 'position':
      connector.position(step.conn, step.id)
      return []
    case 'activity':
      connector.activity(step.conn, step.at)
      return []
    default:
      throw new Error(`unknown step ${step.call}`)
  }
}

function described(action: Action): string {
  switch (action.do) {
    case 'open': {
      const renew = action.renew ? ` renew ${action.renew}` : ''
      const handover = action.handover ? ' handover' : ''
      return `open ${action.conn} after '${action.lastEventId}'${renew}${handover}`
    }
    case 'abort':
      return `abort ${action.conn}`
    case 'opened':
      return 'opened'
    case 'deliver':
      return `${action.control ? 'control' : 'deliver'} ${action.event.type} '${action.event.lastEventId}'`
    case 'lost': {
      const {reason, delayMs, attempt, status} = action
      return `lost ${reason} delay ${Math.round(delayMs)} attempt ${attempt} status ${status}`
    }
    case 'stopped':
      return `stopped ${action.reason} attempt ${action.attempt} status ${action.status}`
  }
}

for (const {name, settings, steps} of readVectors<Scenario[]>('client/scenarios.json')) {
  test(name, () => {
    const {last_event_id: lastEventId, ...rest} = settings
    const own = {...DEFAULTS, ...toSettings(rest)}
    const connector = new Connector(own, lastEventId as string | undefined)
    for (const [index, step] of steps.entries()) {
      const actions = call(connector, step).map(described)
      const deadlineMs = connector.deadlineMs()
      const seen = {
        do: actions,
        state: ['connecting', 'open', 'closed'][connector.readyState],
        due: deadlineMs === Infinity ? null : deadlineMs,
        id_after: connector.lastEventId
      }
      const {do: expected, state, due, id_after} = step
      assert.deepEqual(seen, {do: expected, state, due, id_after}, `step ${index}: ${step.call}`)
    }
  })
}

test('a connection is held until it is let go', () => {
  const connector = new Connector(DEFAULTS)
  connector.connect({nowMs: 0, random: 0})
  assert.equal(connector.holds(1), true)
  connector.close()
  assert.equal(connector.holds(1), false)
})
