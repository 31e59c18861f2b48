/**
 * When to open, keep and leave connections: one state machine without clock, socket or randomness.
 *
 * Inputs say what happened; what is to be done about it is asked of the {@link Shell}. The Python
 * client holds the same machine, and both run the same scenarios.
 *
 * There are at most two connections. The first is the one that serves; from its goodbye on it is
 * *leaving*, and the one that shall replace it stands second: the handover, make before break. What
 * arrives for a connection that is no longer held is ignored, so nothing late can revive anything.
 *
 * A function and not a class, for its size in a page: minifiers shorten variables, but no `this.`.
 */

import type {Connector, LostReason, ReadyState, Shell, StopReason} from './actions.js'
import {CLOSED, CONNECTING, OPEN} from './actions.js'
import type {Connection} from './connection.js'
import {CONNECTED, CURSOR, GAP, isReserved, readControl, SHUTDOWN} from './contract.js'
import {judge, retryDelayMs, type Settings} from './decisions.js'
import type {ParsedEvent} from './parser.js'

/** A retry that fires this late has been slept over: all machines of a fleet wake at one time. */
const SLEPT_MS = 10_000

/** No bounce brings a client back sooner, or a server that names no time would be asked in a loop. */
const MIN_BOUNCE_MS = 100

export function createConnector(settings: Settings, shell: Shell): Connector {
  const {now, random} = shell
  const {min, max} = Math
  /** The one that serves, and the one that shall replace it. */
  let conns: Connection[] = []
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

  const spreadMs = () => Math.round(random() * settings.initialDelayMs)
  const clamp = (ms: number) => min(ms, settings.maxInstructedMs)

  /** When a connection is given up for its silence; a leaving one is quiet, and never is. */
  const expiryMs = ({opened, activeMs, leaveMs}: Connection) =>
    leaveMs
      ? Infinity
      : activeMs +
        (opened ? settings.idleTimeoutMs || 3 * heartbeatMs || Infinity : settings.connectTimeoutMs)

  /** When the old one must go: at its deadline, or to make room for a next that waits. */
  const leaveAtMs = ([old, next] = conns) =>
    min(old?.leaveMs ?? Infinity, next ? next.sinceMs + settings.handoverPatienceMs : Infinity)

  /** Nothing counts that a connection says after its goodbye, or after its end. */
  const isDeaf = ({gone, leaveMs}: Connection) => gone || leaveMs

  /** A stream that has been open for long enough makes the attempts before it forgotten. */
  const settle = ({opened, sinceMs}: Connection) => {
    if (opened && now() - sinceMs >= settings.stableMs) attempt = 0
  }

  const drop = (held: Connection) => {
    held.gone = true
    conns = conns.filter((other) => other !== held)
    held.abort?.()
  }

  const tell = (
    state: ReadyState,
    reason: LostReason | StopReason,
    delayMs: number,
    status: number,
    error?: unknown
  ) => {
    readyState = state
    const willRetry = state === CONNECTING
    shell.tell({type: 'error', reason, willRetry, delayMs, attempt, status, error})
  }

  const stop = (reason: StopReason, status = 200, error?: unknown) => {
    close()
    exhausted = reason === 'exhausted'
    tell(CLOSED, reason, 0, status, error)
  }

  /** Come back after `delayMs`, and not before `leastMs` though woken. */
  const waitFor = (leastMs: number, delayMs: number) => {
    notBeforeMs = now() + leastMs
    retryAtMs = now() + delayMs
  }

  /** Let go of a connection, and come back; told where it was the only one. */
  const comeBack = (
    held: Connection,
    reason: LostReason,
    leastMs: number,
    delayMs = leastMs,
    status = 0,
    error?: unknown
  ) => {
    waitFor(leastMs, delayMs)
    drop(held)
    if (!conns[0]) tell(CONNECTING, reason, delayMs, status, error)
  }

  const open = (renew = 0) => {
    const {handover, repeat} = settings
    const held: Connection = {sinceMs: now(), activeMs: now(), repeat}
    conns.push(held)
    retryAtMs = Infinity
    shell.open(held, renew, handover === 'auto' ? handsOver : handover)
  }

  const fail = (
    held: Connection,
    reason: LostReason,
    error?: unknown,
    retryAfterMs = 0,
    status = 0
  ) => {
    const {opened, repeat} = held
    if (opened && repeat !== 'always') {
      if (reason === 'eof') return stop('ended')
      if (repeat === 'unanswered') return stop('interrupted', 200, error)
    }
    settle(held)
    if (++attempt > settings.maxAttempts && shell.online()) {
      return stop('exhausted', status, error ?? new Error(status ? `status ${status}` : reason))
    }
    const leastMs = max(floorMs, clamp(retryAfterMs))
    // Retry-After is the same for all it was told to, so the spread must come from here.
    const spread = assigned && !retryAfterMs
    const delayMs = retryDelayMs(attempt, leastMs, spread, random(), settings)
    comeBack(held, reason, leastMs, delayMs, status, error)
  }

  /** The old connection goes, or has gone, before the next one has said a word. */
  const breakOld = () => {
    drop(conns[0]!)
    const [next] = conns
    if (!next?.opened) tell(CONNECTING, 'planned', next ? 0 : max(0, retryAtMs - now()), 0)
  }

  /** A bounce is an appointment: kept to the millisecond, and no attempt. */
  const bounce = (held: Connection) =>
    comeBack(held, 'bounce', floorMs, max(floorMs || spreadMs(), MIN_BOUNCE_MS))

  /** A planned move uses no attempt and gets no jitter: the server keeps the slots. */
  const leave = (held: Connection, event: ParsedEvent, deadlineMs: number) => {
    connector.lastEventId = event.lastEventId
    settle(held)
    shell.deliver(event, true)
    if (held.gone) return
    if (held.repeat === 'unanswered') return stop('interrupted')
    if (settings.handover && deadlineMs) {
      waitFor(floorMs, floorMs)
      held.leaveMs = now() + deadlineMs
    } else comeBack(held, 'planned', floorMs)
    if (now() >= retryAtMs) open()
  }

  /**
   * The first event says what kind of server it is. False where a handover has led to the very same
   * pod: that is tried once more, while the old stream lasts.
   */
  const greeted = (held: Connection, {type, data}: ParsedEvent) => {
    const hello = type === CONNECTED && readControl(data, 'heartbeat_ms', 'spread_ms')
    const {pod, handover, heartbeat_ms = 0, spread_ms = 0} = hello || {}
    const old = conns[0]!
    const againAtMs = now() + spreadMs()
    // A stream that is not leaving has no such time.
    if (old.pod === pod && !old.ledNowhere && againAtMs < old.leaveMs!) {
      old.ledNowhere = true
      retryAtMs = againAtMs
      return false
    }
    held.tidegate = !!hello
    held.pod = pod
    // What another server has announced says nothing about this one.
    handsOver = handover === true
    heartbeatMs = heartbeat_ms
    assigned = spread_ms > 0
    return true
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
    const expired = conns.find((held) => now() >= expiryMs(held))
    if (expired) fail(expired, expired.opened ? 'idle' : 'timeout')
    if (now() >= leaveAtMs()) breakOld()
    if (now() - retryAtMs > SLEPT_MS) retryAtMs = now() + spreadMs()
    if (now() >= retryAtMs) open()
  }

  const connector: Connector = {
    get readyState() {
      return readyState
    },
    lastEventId: '',
    deadlineMs: () => min(retryAtMs, leaveAtMs(), ...conns.map(expiryMs)),
    connect,
    close,
    tick,

    responded(held, status, contentType, retryAfterMs) {
      if (held.gone) return
      const verdict = judge(status, contentType)
      if (verdict === 'stream') {
        held.opened = true
        held.sinceMs = held.activeMs = now()
        renewed = false
        if (readyState === OPEN) return
        readyState = OPEN
        shell.tell({type: 'open'})
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
        comeBack(held, 'planned', leastMs, max(spreadMs(), leastMs), status)
      } else fail(held, 'status', undefined, retryAfterMs, status)
    },

    event(held, event) {
      if (isDeaf(held)) return
      const {type, data, lastEventId} = event
      const first = !held.live
      const reserved = (first || held.tidegate) && isReserved(type)
      const goodbye =
        reserved && type === SHUTDOWN && readControl(data, 'reconnect_after_ms', 'deadline_ms')
      if (goodbye) {
        floorMs = clamp(goodbye.reconnect_after_ms)
        assigned = false
        // What has expired is the token and not the pod: the same one again will do.
        held.ledNowhere = goodbye.reason === 'expired'
        return first ? bounce(held) : leave(held, event, goodbye.deadline_ms)
      }
      if (first && !greeted(held, event)) return drop(held)
      held.live = true
      connector.lastEventId = lastEventId
      // The first word of the next connection is the moment at which the old one is not needed.
      if (held !== conns[0]) drop(conns[0]!)
      const control = !!(reserved && held.tidegate && type !== GAP)
      // What the application is given is progress; a server that only greets makes none.
      if (!control) attempt = 0
      // In a Tidegate stream the first event is its `connected`.
      if (!control || first || type === CURSOR) shell.deliver(event, control)
    },

    ended(held, how, error) {
      if (held.gone) return
      // An oversized event would come again: resuming in front of it for ever helps nobody.
      if (how !== 'eof' && how !== 'error') stop(how, held.opened ? 200 : 0, error)
      else if (held.leaveMs) breakOld()
      else fail(held, how, error)
    },

    retry(held, retryMs) {
      if (!isDeaf(held)) floorMs = clamp(retryMs)
    },

    position(held, id) {
      if (!isDeaf(held)) connector.lastEventId = id
    },

    wake() {
      if (exhausted) return connect()
      attempt = 0
      if (retryAtMs < Infinity) retryAtMs = min(retryAtMs, max(notBeforeMs, now() + spreadMs()))
      tick()
    }
  }
  return connector
}
