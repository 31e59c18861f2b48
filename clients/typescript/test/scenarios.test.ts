/** The connector decides as the shared scenarios say. */
import assert from 'node:assert/strict'
import {test} from 'node:test'
import type {Connector, Ending} from '../dist/actions.js'
import type {Connection} from '../dist/connection.js'
import {createConnector} from '../dist/connector.js'
import {DEFAULTS, type Settings} from '../dist/decisions.js'
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
  readonly connector: Connector
  readonly #conns: Connection[] = []
  #done: string[] = []
  #at: Step | undefined
  #online = true

  constructor(settings: Settings, lastEventId: string) {
    const note = (what: string) => void this.#done.push(what)
    const connector = createConnector(settings, {
      now: () => this.#at!.at,
      random: () => this.#at!.random ?? 0.5,
      online: () => this.#online,
      open: (held, renew, handover) => {
        const n = this.#conns.push(held)
        held.abort = () => note(`abort ${n}`)
        const how = `${renew ? ` renew ${renew}` : ''}${handover ? ' handover' : ''}`
        note(`open ${n} after '${connector.lastEventId}'${how}`)
      },
      deliver: ({type, lastEventId: id}, control) =>
        note(`${control ? 'control' : 'deliver'} ${type} '${id}'`),
      tell: (change) => note(told(change))
    })
    connector.lastEventId = lastEventId
    this.connector = connector
  }

  /** What is done about one step. */
  call(step: Step): string[] {
    this.#at = step
    this.#done = []
    this.#step(step, this.#conns[step.conn - 1]!)
    return this.#done
  }

  #step(step: Step, held: Connection): void {
    const {connector} = this
    switch (step.call) {
      case 'connect':
      case 'close':
      case 'tick':
      case 'wake':
        return connector[step.call]()
      case 'online':
        this.#online = step.online
        return
      case 'responded':
        return connector.responded(held, step.status, step.content_type, step.retry_after_ms ?? 0)
      case 'event': {
        const {type, data, id} = step.event
        return connector.event(held, {type, data, lastEventId: id})
      }
      case 'ended':
        return connector.ended(held, step.how)
      case 'retry':
        return connector.retry(held, step.retry_ms)
      case 'position':
        return connector.position(held, step.id)
      case 'activity':
        held.activeMs = step.at
        return
      default:
        throw new Error(`unknown step ${step.call}`)
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
    const run = new Run(own, (lastEventId as string | undefined) ?? '')
    const {connector} = run
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
