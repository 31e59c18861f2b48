/**
 * When to open, keep and leave connections: one state machine without clock, socket or randomness.
 *
 * Inputs say what happened and when; each returns the actions a shell has to carry out, in order.
 * The Python client holds the same machine, and both run the same scenarios.
 *
 * There are at most two connections. The first is the one that serves; from its goodbye on it is
 * *leaving*, and the one that shall replace it stands second: the handover, make before break. What
 * arrives for a connection that is no longer held is ignored, so nothing late can revive anything.
 *
 * A function and not a class, for its size in a page: minifiers shorten variables, but no `this.`.
 */

import type {Action, Connector, Inputs, LostReason, ReadyState, StopReason} from './actions.js'
import {CLOSED, CONNECTING, OPEN} from './actions.js'
import {type Connection, dueMs, expiryMs, isStable, leaveAtMs} from './connection.js'
import {CONNECTED, CURSOR, GAP, isReserved, readControl, SHUTDOWN} from './contract.js'
import {judge, retryDelayMs, type Settings} from './decisions.js'
import type {ParsedEvent} from './parser.js'

/** A retry that fires this late has been slept over: all machines of a fleet wake at one time. */
const SLEPT_MS = 10_000

/** No bounce brings a client back sooner, or a server that names no time would be asked in a loop. */
const MIN_BOUNCE_MS = 100

export function createConnector(settings: Settings, lastEventId = ''): Connector {
  const {initialDelayMs, maxInstructedMs} = settings
  let conns: Connection[] = []
  let actions: Action[] = []
  let nowMs = 0
  let random = 0
  let readyState: ReadyState = CLOSED
  let retryAtMs = Infinity
  let notBeforeMs = 0
  let attempt = 0
  let renewed = false
  let exhausted = false
  let floorMs = 0
  let assigned = false
  let heartbeatMs = 0
  /** Whether the server has said in `connected` that it hands over. */
  let handsOver = false

  const spreadMs = () => Math.round(random * initialDelayMs)
  const clamp = (ms: number) => Math.min(ms, maxInstructedMs)

  const drop = (held: Connection) => {
    held.gone = true
    conns = conns.filter((other) => other !== held)
    actions.push({do: 'abort', held})
  }

  const tell = (
    state: ReadyState,
    reason: LostReason | StopReason,
    delayMs: number,
    status: number,
    last?: LostReason
  ) => {
    readyState = state
    const change = {reason, willRetry: state === CONNECTING, delayMs, attempt, status}
    actions.push({do: 'tell', change: {type: 'error', ...change}, last})
  }

  const stop = (reason: StopReason, status: number, last?: LostReason) => {
    close()
    tell(CLOSED, reason, 0, status, last)
  }

  /** Come back after `delayMs`, and not before `leastMs` though woken. */
  const waitFor = (delayMs: number, leastMs: number) => {
    notBeforeMs = nowMs + leastMs
    retryAtMs = nowMs + delayMs
  }

  /** Let go of a connection, and come back; told where it was the only one. */
  const comeBack = (
    held: Connection,
    reason: LostReason,
    delayMs: number,
    leastMs: number,
    status: number
  ) => {
    waitFor(delayMs, leastMs)
    drop(held)
    if (!conns[0]) tell(CONNECTING, reason, delayMs, status)
  }

  const open = (renew = 0) => {
    const held: Connection = {sinceMs: nowMs, activeMs: nowMs, repeat: settings.repeat}
    conns.push(held)
    retryAtMs = Infinity
    const {handover: wanted} = settings
    const handover = wanted === 'auto' ? handsOver : wanted
    actions.push({do: 'open', held, renew, handover})
  }

  const fail = (held: Connection, reason: LostReason, retryAfterMs = 0, status = 0) => {
    const {opened, repeat} = held
    if (opened && repeat !== 'always') {
      if (reason === 'eof') return stop('ended', 200)
      if (repeat === 'unanswered') return stop('interrupted', 200)
    }
    if (isStable(held, nowMs, settings)) attempt = 0
    if (++attempt > settings.maxAttempts && connector.online) {
      stop('exhausted', status, reason)
      exhausted = true
      return
    }
    const leastMs = Math.max(floorMs, clamp(retryAfterMs))
    // Retry-After is the same for all it was told to, so the spread must come from here.
    const spread = assigned && !retryAfterMs
    const delayMs = retryDelayMs(attempt, leastMs, spread, random, settings)
    comeBack(held, reason, delayMs, leastMs, status)
  }

  /** The old connection goes, or has gone, before the next one has said a word. */
  const breakOld = () => {
    drop(conns[0]!)
    const [next] = conns
    if (!next?.opened) tell(CONNECTING, 'planned', next ? 0 : Math.max(0, retryAtMs - nowMs), 0)
  }

  /** A planned move uses no attempt and gets no jitter: the server keeps the slots. */
  const leave = (held: Connection, event: ParsedEvent, deadlineMs: number) => {
    connector.lastEventId = event.lastEventId
    if (isStable(held, nowMs, settings)) attempt = 0
    actions.push({do: 'deliver', event, control: true})
    if (held.repeat === 'unanswered') return stop('interrupted', 200)
    if (settings.handover && deadlineMs) {
      waitFor(floorMs, floorMs)
      held.leaveMs = nowMs + deadlineMs
    } else comeBack(held, 'planned', floorMs, floorMs, 0)
    if (!floorMs) open()
  }

  /** A bounce is an appointment: kept to the millisecond, and no attempt. */
  const bounce = (held: Connection) =>
    comeBack(held, 'bounce', Math.max(floorMs || spreadMs(), MIN_BOUNCE_MS), floorMs, 0)

  /**
   * The first event says what kind of server it is. False where a handover has led to the very same
   * pod: that is tried once more, while the old stream lasts.
   */
  const greeted = (held: Connection, {type, data}: ParsedEvent) => {
    const hello = type === CONNECTED ? readControl(data, 'heartbeat_ms', 'spread_ms') : undefined
    if (hello) {
      held.pod = hello.pod
      const old = conns[0]!
      const againAtMs = nowMs + spreadMs()
      // A stream that is not leaving has no such time.
      if (old.pod === held.pod && !old.ledNowhere && againAtMs < old.leaveMs!) {
        old.ledNowhere = true
        retryAtMs = againAtMs
        return false
      }
    }
    held.tidegate = !!hello
    // What another server has announced says nothing about this one.
    handsOver = hello?.handover === true
    heartbeatMs = hello?.heartbeat_ms ?? 0
    assigned = !!hello?.spread_ms
    return true
  }

  const judgeEvent = (held: Connection, event: ParsedEvent) => {
    const {type, data} = event
    const first = !held.live
    const goodbye =
      type === SHUTDOWN &&
      (first || held.tidegate) &&
      readControl(data, 'reconnect_after_ms', 'deadline_ms')
    if (goodbye) {
      floorMs = clamp(goodbye.reconnect_after_ms)
      assigned = false
      return first ? bounce(held) : leave(held, event, goodbye.deadline_ms)
    }
    if (first && !greeted(held, event)) return drop(held)
    held.live = true
    connector.lastEventId = event.lastEventId
    // The first word of the next connection is the moment at which the old one is not needed.
    if (held !== conns[0]) drop(conns[0]!)
    const control = !!held.tidegate && type !== GAP && isReserved(type)
    // What the application is given is progress; a server that only greets makes none.
    if (!control) attempt = 0
    const unknown = control && type !== CURSOR && !(first && type === CONNECTED)
    if (!unknown) actions.push({do: 'deliver', event, control})
  }

  const connect = () => {
    if (readyState !== CLOSED) return
    readyState = CONNECTING
    attempt = 0
    renewed = exhausted = false
    open()
  }

  const close = () => {
    readyState = CLOSED
    exhausted = false
    retryAtMs = Infinity
    conns.forEach(drop)
  }

  const tick = () => {
    const expired = conns.find((held) => nowMs >= expiryMs(held, heartbeatMs, settings))
    if (expired) fail(expired, expired.opened ? 'idle' : 'timeout')
    if (nowMs >= leaveAtMs(conns, settings)) breakOld()
    if (nowMs - retryAtMs > SLEPT_MS) retryAtMs = nowMs + spreadMs()
    if (nowMs >= retryAtMs) open()
  }

  const inputs: Inputs = {
    connect,
    close,
    tick,

    responded(held, status, contentType, retryAfterMs) {
      const verdict = judge(status, contentType)
      if (verdict === 'stream') {
        held.opened = true
        held.sinceMs = held.activeMs = nowMs
        renewed = false
        if (readyState === OPEN) return
        readyState = OPEN
        actions.push({do: 'tell', change: {type: 'open'}})
      } else if (verdict === 'renew') {
        if (renewed || !settings.renewable) return stop('unauthorized', status)
        renewed = true
        drop(held)
        open(status)
      } else if (verdict !== 'retry') stop(verdict, status)
      // 503 says that nothing was done; after another 5xx a POST may have been carried out.
      else if (held.repeat === 'unanswered' && status >= 500 && status !== 503) {
        stop('refused', status)
      } else if (status === 429 && held === conns[1]) {
        // The server has no room for two: break before make, at no cost in attempts.
        const leastMs = clamp(retryAfterMs)
        drop(conns[0]!)
        comeBack(held, 'planned', Math.max(spreadMs(), leastMs), leastMs, status)
      } else fail(held, 'status', retryAfterMs, status)
    },

    ended(held, how) {
      // An oversized event would come again: resuming in front of it for ever helps nobody.
      if (how !== 'eof' && how !== 'error') stop(how, held.opened ? 200 : 0)
      else if (held.leaveMs) breakOld()
      else fail(held, how)
    },

    retry(held, retryMs) {
      if (!held.leaveMs) floorMs = clamp(retryMs)
    },

    position(held, id) {
      if (!held.leaveMs) connector.lastEventId = id
    },

    wake() {
      if (exhausted) return connect()
      attempt = 0
      if (retryAtMs < Infinity) {
        retryAtMs = Math.min(retryAtMs, Math.max(notBeforeMs, nowMs + spreadMs()))
      }
      tick()
    }
  }

  const connector: Connector = {
    get readyState() {
      return readyState
    },
    lastEventId,
    online: true,
    deadlineMs: () => Math.min(retryAtMs, dueMs(conns, heartbeatMs, settings)),

    event(at, held, event) {
      const {type, lastEventId} = event
      if (held.live && held === conns[0] && !held.leaveMs && !(held.tidegate && isReserved(type))) {
        connector.lastEventId = lastEventId
        // What the application is given is progress.
        attempt = 0
        return undefined
      }
      ;({nowMs, random} = at)
      actions = []
      if (!held.gone && !held.leaveMs) judgeEvent(held, event)
      return actions
    },

    step(at, input, ...facts) {
      ;({nowMs, random} = at)
      actions = []
      if (!facts[0]?.gone) (inputs[input] as (...facts: unknown[]) => void)(...facts)
      return actions
    }
  }
  return connector
}
