/**
 * When to open, keep and leave connections: one state machine without clock, socket or randomness.
 *
 * Inputs say what happened and when; each returns the actions a shell has to carry out, in order.
 * The Python client holds the same machine, and both run the same scenarios.
 *
 * There are at most two connections. The first is the one that serves; from its goodbye on it is
 * *leaving*, and the one that shall replace it stands second: the handover, make before break.
 * Every connection has a number, and what arrives for a number that is no longer held is ignored,
 * so nothing late can revive anything.
 */

import type {Action, Ending, LostReason, Moment, ReadyState, StopReason} from './actions.js'
import {CLOSED, CONNECTING, OPEN} from './actions.js'
import {type Connection, expiryMs, leaveByMs} from './connection.js'
import {CONNECTED, CURSOR, GAP, isReserved, readControl, SHUTDOWN} from './contract.js'
import {judge, retryDelayMs, type Settings} from './decisions.js'
import type {ParsedEvent} from './parser.js'

/** A retry that fires this late has been slept over: all machines of a fleet wake at one time. */
const SLEPT_MS = 10_000

/** No bounce brings a client back sooner, or a server that names no time would be asked in a loop. */
const MIN_BOUNCE_MS = 100

export class Connector {
  readyState: ReadyState
  lastEventId: string
  /** Without a network, failures never exhaust the attempts. */
  online: boolean
  /** What is asked for again; see {@link Settings}. */
  repeat: Settings['repeat']

  readonly #settings: Settings
  #conns: Connection[] = []
  #retryAtMs = Infinity
  #notBeforeMs = 0
  #attempt = 0
  #count = 0
  #renewed = false
  #floorMs = 0
  #assigned = false
  #heartbeatMs = 0
  #exhausted = false
  /** Whether the server has said in `connected` that it hands over. */
  #handsOver = false

  constructor(settings: Settings, lastEventId = '') {
    this.readyState = CLOSED
    this.online = true
    this.#settings = settings
    this.repeat = settings.repeat
    this.lastEventId = lastEventId
  }

  /** Start, unless started. */
  connect(at: Moment): Action[] {
    if (this.readyState !== CLOSED) return []
    this.readyState = CONNECTING
    this.#attempt = 0
    this.#renewed = this.#exhausted = false
    return [this.#open(at)]
  }

  /** End everything, from any state. */
  close(): Action[] {
    this.readyState = CLOSED
    this.#exhausted = false
    this.#retryAtMs = Infinity
    return this.#abort(2)
  }

  /** Whether a connection is still wanted. */
  holds(conn: number): boolean {
    return !!this.#find(conn)
  }

  /** When {@link tick} is due next; `Infinity`: never. */
  deadlineMs(): number {
    const expiries = this.#conns.map((held) => this.#expiryMs(held))
    return Math.min(this.#retryAtMs, leaveByMs(this.#conns, this.#settings), ...expiries)
  }

  /** Response headers have come; `retryAfterMs` is 0 without the header. */
  responded(
    conn: number,
    status: number,
    contentType: string,
    retryAfterMs: number,
    at: Moment
  ): Action[] {
    const held = this.#find(conn)
    if (!held) return []
    const verdict = judge(status, contentType)
    if (verdict === 'stream') return this.#opened(held, at)
    if (verdict === 'renew') {
      if (this.#renewed || !this.#settings.renewable) return this.#stop('unauthorized', status)
      this.#renewed = true
      return [...this.#drop(held), this.#open(at, status)]
    }
    if (verdict !== 'retry') return this.#stop(verdict, status)
    // 503 says that nothing was done; after another 5xx a POST may have been carried out.
    if (this.repeat === 'unanswered' && status >= 500 && status !== 503) {
      return this.#stop('refused', status)
    }
    if (status === 429 && held === this.#conns[1]) {
      // The server has no room for two: break before make, at no cost in attempts.
      const floorMs = this.#clamp(retryAfterMs)
      const delayMs = Math.max(this.#spreadMs(at), floorMs)
      this.#waitFor(delayMs, floorMs, at)
      return [...this.#abort(2), this.#lost('planned', delayMs, status)]
    }
    return this.#fail(held, 'status', at, retryAfterMs, status)
  }

  /** Bytes have come, whatever they are. */
  activity(conn: number, nowMs: number): void {
    const held = this.#find(conn)
    if (held) held.activeMs = nowMs
  }

  /** A `retry:` line has come. */
  retry(conn: number, retryMs: number): void {
    if (this.#listens(conn)) this.#floorMs = this.#clamp(retryMs)
  }

  /** The parser stands at this id, also where no event was dispatched. */
  position(conn: number, lastEventId: string): void {
    if (this.#listens(conn)) this.lastEventId = lastEventId
  }

  /**
   * An event has come. In a Tidegate stream the reserved names are the server's own words: those
   * that are understood are obeyed and delivered as such, the others go no further.
   */
  event(conn: number, event: ParsedEvent, at: Moment): Action[] {
    const held = this.#listens(conn)
    if (!held) return []
    const {type, data} = event
    const first = !held.live
    const goodbye =
      type === SHUTDOWN &&
      (first || held.tidegate) &&
      readControl(data, 'reconnect_after_ms', 'deadline_ms')
    if (goodbye) {
      this.#floorMs = this.#clamp(goodbye.reconnect_after_ms)
      this.#assigned = false
      return first ? this.#bounce(held, at) : this.#leave(held, event, goodbye.deadline_ms, at)
    }
    if (first && !this.#greeted(held, event, at)) return this.#drop(held)
    held.live = true
    this.lastEventId = event.lastEventId
    // The first word of the next connection is the moment at which the old one is not needed.
    const actions = held === this.#conns[0] ? [] : this.#abort(this.#conns.indexOf(held))
    const control = !!held.tidegate && type !== GAP && isReserved(type)
    // What the application is given is progress; a server that only greets makes none.
    if (!control) this.#attempt = 0
    const unknown = control && type !== CURSOR && !(first && type === CONNECTED)
    if (!unknown) actions.push({do: 'deliver', event, control})
    return actions
  }

  /**
   * The first event says what kind of server it is. False where a handover has led to the very same
   * pod: that is tried once more, while the old stream lasts.
   */
  #greeted(held: Connection, {type, data}: ParsedEvent, at: Moment): boolean {
    const connected =
      type === CONNECTED ? readControl(data, 'heartbeat_ms', 'spread_ms') : undefined
    if (connected) {
      held.pod = connected.pod
      const [old] = this.#conns
      const retryAtMs = at.nowMs + this.#spreadMs(at)
      // A stream that is not leaving has no such time.
      if (old!.pod === held.pod && !old!.ledNowhere && retryAtMs < old!.leaveMs!) {
        old!.ledNowhere = true
        this.#retryAtMs = retryAtMs
        return false
      }
    }
    held.tidegate = !!connected
    // What another server has announced says nothing about this one.
    this.#handsOver = connected?.handover === true
    this.#heartbeatMs = connected?.heartbeat_ms ?? 0
    this.#assigned = !!connected?.spread_ms
    return true
  }

  /** A connection has ended: cleanly, by an error, or by what no repetition mends. */
  ended(conn: number, how: Ending, at: Moment): Action[] {
    const held = this.#find(conn)
    if (!held) return []
    // An oversized event would come again: resuming in front of it for ever helps nobody.
    if (how !== 'eof' && how !== 'error') return this.#stop(how, held.opened ? 200 : 0)
    return held.leaveMs ? this.#breakOld(at) : this.#fail(held, how, at)
  }

  /** Time has passed: do what is due. */
  tick(at: Moment): Action[] {
    const {nowMs} = at
    const expired = this.#conns.filter((held) => nowMs >= this.#expiryMs(held))
    const actions = expired.flatMap((held) =>
      this.#fail(held, held.opened ? 'idle' : 'timeout', at)
    )
    if (nowMs >= leaveByMs(this.#conns, this.#settings)) actions.push(...this.#breakOld(at))
    if (nowMs - this.#retryAtMs > SLEPT_MS) this.#retryAtMs = nowMs + this.#spreadMs(at)
    if (nowMs >= this.#retryAtMs) actions.push(this.#open(at))
    return actions
  }

  /**
   * The network is back or the page is seen again: hurry, but not before the server's floor. A
   * client that has used up its attempts starts anew.
   */
  wake(at: Moment): Action[] {
    if (this.#exhausted) return this.connect(at)
    this.#attempt = 0
    if (this.#retryAtMs < Infinity) {
      const soonMs = Math.max(this.#notBeforeMs, at.nowMs + this.#spreadMs(at))
      this.#retryAtMs = Math.min(this.#retryAtMs, soonMs)
    }
    return this.tick(at)
  }

  #open({nowMs}: Moment, renew = 0): Action {
    const conn = ++this.#count
    this.#conns.push({conn, sinceMs: nowMs, activeMs: nowMs})
    this.#retryAtMs = Infinity
    const {handover: wanted} = this.#settings
    const handover = wanted === 'auto' ? this.#handsOver : wanted
    return {do: 'open', conn, lastEventId: this.lastEventId, renew, handover}
  }

  #opened(held: Connection, {nowMs}: Moment): Action[] {
    held.opened = true
    held.sinceMs = held.activeMs = nowMs
    this.#renewed = false
    if (this.readyState === OPEN) return []
    this.readyState = OPEN
    return [{do: 'opened'}]
  }

  /** A planned move uses no attempt and gets no jitter: the server keeps the slots. */
  #leave(held: Connection, event: ParsedEvent, deadlineMs: number, at: Moment): Action[] {
    this.lastEventId = event.lastEventId
    this.#restIfStable(held, at)
    this.#waitFor(this.#floorMs, this.#floorMs, at)
    const actions: Action[] = [{do: 'deliver', event, control: true}]
    if (this.repeat === 'unanswered') {
      return [...actions, ...this.#stop('interrupted', 200)]
    }
    if (this.#settings.handover && deadlineMs) held.leaveMs = at.nowMs + deadlineMs
    else actions.push(...this.#abort(1), this.#lost('planned', this.#floorMs, 0))
    if (!this.#floorMs) actions.push(this.#open(at))
    return actions
  }

  /** The old connection goes, or has gone, before the next one has said a word. */
  #breakOld({nowMs}: Moment): Action[] {
    const actions = this.#abort(1)
    if (this.#conns[0]?.opened) return actions
    const waitMs = this.#conns.length ? 0 : Math.max(0, this.#retryAtMs - nowMs)
    return [...actions, this.#lost('planned', waitMs, 0)]
  }

  /** A bounce is an appointment: kept to the millisecond, and no attempt. */
  #bounce(held: Connection, at: Moment): Action[] {
    const delayMs = Math.max(this.#floorMs || this.#spreadMs(at), MIN_BOUNCE_MS)
    this.#waitFor(delayMs, this.#floorMs, at)
    return this.#letGo(held, 'bounce', delayMs, 0)
  }

  #fail(held: Connection, reason: LostReason, at: Moment, retryAfterMs = 0, status = 0): Action[] {
    const {repeat} = this
    if (held.opened && repeat !== 'always') {
      if (reason === 'eof') return this.#stop('ended', 200)
      if (repeat === 'unanswered') return this.#stop('interrupted', 200)
    }
    this.#restIfStable(held, at)
    if (++this.#attempt > this.#settings.maxAttempts && this.online) {
      const actions = this.#stop('exhausted', status, reason)
      this.#exhausted = true
      return actions
    }
    const floorMs = Math.max(this.#floorMs, this.#clamp(retryAfterMs))
    // Retry-After is the same for all it was told to, so the spread must come from here.
    const assigned = this.#assigned && !retryAfterMs
    const delayMs = retryDelayMs(this.#attempt, floorMs, assigned, at.random, this.#settings)
    this.#waitFor(delayMs, floorMs, at)
    return this.#letGo(held, reason, delayMs, status)
  }

  /** Come back after `delayMs`, and not before `floorMs` though woken. */
  #waitFor(delayMs: number, floorMs: number, {nowMs}: Moment): void {
    this.#notBeforeMs = nowMs + floorMs
    this.#retryAtMs = nowMs + delayMs
  }

  #letGo(held: Connection, reason: LostReason, delayMs: number, status: number): Action[] {
    const actions = this.#drop(held)
    return this.#conns.length ? actions : [...actions, this.#lost(reason, delayMs, status)]
  }

  #lost(reason: LostReason, delayMs: number, status: number): Action {
    this.readyState = CONNECTING
    return {do: 'lost', reason, delayMs, attempt: this.#attempt, status}
  }

  #stop(reason: StopReason, status: number, last?: LostReason): Action[] {
    const attempt = this.#attempt
    return [...this.close(), {do: 'stopped', reason, delayMs: 0, attempt, status, last}]
  }

  #restIfStable({opened, sinceMs}: Connection, {nowMs}: Moment): void {
    if (opened && nowMs - sinceMs >= this.#settings.stableMs) this.#attempt = 0
  }

  /** Let go of `count` connections. */
  #abort(count: number, first = 0): Action[] {
    return this.#conns.splice(first, count).map(({conn}) => ({do: 'abort', conn}))
  }

  #drop(held: Connection): Action[] {
    return this.#abort(1, this.#conns.indexOf(held))
  }

  #find(conn: number): Connection | undefined {
    return this.#conns.find((held) => held.conn === conn)
  }

  /** Nothing counts that a connection says after its goodbye. */
  #listens(conn: number): Connection | undefined {
    return this.#conns.find((held) => held.conn === conn && !held.leaveMs)
  }

  #expiryMs(held: Connection): number {
    return expiryMs(held, this.#heartbeatMs, this.#settings)
  }

  #spreadMs({random}: Moment): number {
    return Math.round(random * this.#settings.initialDelayMs)
  }

  #clamp(ms: number): number {
    return Math.min(ms, this.#settings.maxInstructedMs)
  }
}
