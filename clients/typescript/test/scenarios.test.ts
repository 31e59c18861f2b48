/** The connector decides as the shared scenarios say. */
import assert from 'node:assert/strict'
import {test} from 'node:test'
import type {Action, Connector, Ending} from '../dist/actions.js'
import type {Connection} from '../dist/connection.js'
import {createConnector} from '../dist/connector.js'
import {DEFAULTS} from '../dist/decisions.js'
import type {OpenEvent, SseErrorEvent} from '../dist/index.js'
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

/** Carries out steps; connections are numbered in the order in which they are opened. */
class Run {
  readonly #connector: Connector
  readonly #conns: Connection[] = []

  constructor(connector: Connector) {
    this.#connector = connector
  }

  call(step: Step): string[] {
    const connector = this.#connector
    const at = {nowMs: step.at, random: step.random ?? 0.5}
    const held = this.#conns[step.conn - 1]!
    const actions = (): Action[] => {
      switch (step.call) {
        case 'connect':
        case 'close':
        case 'tick':
        case 'wake':
          return connector.step(at, step.call)
        case 'online':
          connector.online = step.online
          return []
        case 'responded': {
          const waitMs = step.retry_after_ms ?? 0
          return connector.step(at, 'responded', held, step.status, step.content_type, waitMs)
        }
        case 'event': {
          const {type, data, id} = step.event
          const event = {type, data, lastEventId: id}
          return connector.event(at, held, event) ?? [{do: 'deliver', event, control: false}]
        }
        case 'ended':
          return connector.step(at, 'ended', held, step.how)
        case 'retry':
          return connector.step(at, 'retry', held, step.retry_ms)
        case 'position':
          return connector.step(at, 'position', held, step.id)
        case 'activity':
          held.activeMs = step.at
          return []
        default:
          throw new Error(`unknown step ${step.call}`)
      }
    }
    return actions().map((action) => this.#described(action))
  }

  #described(action: Action): string {
    switch (action.do) {
      case 'open': {
        const conn = this.#conns.push(action.held)
        const renew = action.renew ? ` renew ${action.renew}` : ''
        const handover = action.handover ? ' handover' : ''
        return `open ${conn} after '${this.#connector.lastEventId}'${renew}${handover}`
      }
      case 'abort':
        return `abort ${this.#conns.indexOf(action.held) + 1}`
      case 'deliver':
        return `${action.control ? 'control' : 'deliver'} ${action.event.type} '${action.event.lastEventId}'`
      case 'tell':
        return told(action.change)
    }
  }
}

function told(change: OpenEvent | SseErrorEvent): string {
  if (change.type === 'open') return 'opened'
  const {reason, willRetry, delayMs, attempt, status} = change
  const what = willRetry ? `lost ${reason} delay ${Math.round(delayMs)}` : `stopped ${reason}`
  return `${what} attempt ${attempt} status ${status}`
}

for (const {name, settings, steps} of readVectors<Scenario[]>('client/scenarios.json')) {
  test(name, () => {
    const {last_event_id: lastEventId, ...rest} = settings
    const own = {...DEFAULTS, ...toSettings(rest)}
    const connector = createConnector(own, lastEventId as string | undefined)
    const run = new Run(connector)
    for (const [index, step] of steps.entries()) {
      const actions = run.call(step)
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
