/**
 * One stream: carries out what the {@link Connector} decides, with `fetch` and one timer, and gives
 * what comes to a consumer.
 *
 * Each connection has its own AbortController and parser. A consumer without room makes the reading
 * stop; the server then sees a full socket and tells in a `gap` what was lost.
 */

import type {Action, Ending, ReadyState, StopReason} from './actions.js'
import {CLOSED} from './actions.js'
import {moment} from './clock.js'
import {Connector} from './connector.js'
import {QUERY_HANDOVER} from './contract.js'
import {retryAfterMs} from './decisions.js'
import {watchLifecycle} from './lifecycle.js'
import {guard} from './listeners.js'
import type {SseErrorEvent, SseEvent} from './options.js'
import {type OpenEvent, type SseClientOptions, SseError} from './options.js'
import {MAX_RETRY_MS, OversizedError, Parser, type ParserOptions} from './parser.js'
import {checked, given, requestHeaders} from './request.js'
import type {FetchInit, FetchResponse, UrlLike} from './web-types.js'

/**
 * Follows one stream through failures and rollouts; what comes goes to the methods of a class that
 * extends it. Throws as {@link checked} does.
 */
export abstract class Stream {
  /** What is asked for; where it is relative, `fetch` resolves it. */
  readonly url: string
  /** Whether it has been started and not come to its end. */
  protected running = false
  /** Why it has come to its end, unless it was closed. */
  protected stopped: SseError | undefined

  readonly #options: SseClientOptions
  readonly #connector: Connector
  readonly #method: string
  readonly #aborts = new Map<number, AbortController>()
  #timer: ReturnType<typeof setTimeout> | undefined
  /** What the timer was set for; it may ring earlier. */
  #armedMs = Infinity
  /** Counts ends and new starts: what was decided in an earlier life is not told any more. */
  #life = 0
  #watching: AbortController | undefined

  constructor(url: string | UrlLike, options: SseClientOptions) {
    this.url = String(url).replace(/#.*/s, '')
    this.#options = given(options)
    const {settings, method} = checked(this.url, this.#options)
    this.#connector = new Connector(settings, options.lastEventId)
    this.#method = method
  }

  /** CONNECTING (0), OPEN (1) or CLOSED (2). */
  get readyState(): ReadyState {
    return this.#connector.readyState
  }

  /** Stop. */
  abstract close(): void
  /** Take an event; `control` marks the server's own. */
  protected abstract deliver(event: SseEvent, control: boolean): void
  protected abstract tell(change: OpenEvent | SseErrorEvent): void
  /** The stream stands at this id, also where no event was delivered. */
  protected reach(_: string): void {}
  /** Where there is no room: when to ask again. */
  protected room(): Promise<unknown> | undefined {
    return undefined
  }

  /** Start, unless started; resumes after `lastEventId`. */
  protected start(lastEventId: string): void {
    const connector = this.#connector
    const {signal} = this.#options
    if (signal?.aborted) return
    const again = () => this.#perform(connector.connect(moment()))
    if (!this.#watching) {
      this.#watching = new AbortController()
      watchLifecycle(this.#watching.signal, signal, {
        wake: () => this.#perform(connector.wake(moment())),
        hide: () => this.#perform(connector.close()),
        show: again,
        close: () => this.close()
      })
    }
    if (connector.readyState !== CLOSED) return
    connector.lastEventId = lastEventId
    again()
  }

  /** Stop; nothing is delivered any more. May be called in any state, also twice. */
  protected stop(): void {
    this.#watching?.abort()
    this.#watching = undefined
    this.running = false
    this.cut()
  }

  /** Let go of what is open, to start anew. */
  protected cut(): void {
    this.#life++
    this.#perform(this.#connector.close())
  }

  #perform(actions: Action[], error?: unknown): void {
    this.#carryOut(actions, error)
    this.#arm()
  }

  #carryOut(actions: Action[], error?: unknown): void {
    const life = this.#life
    for (const action of actions) {
      if (action.do === 'abort') this.#aborts.get(action.conn)?.abort()
      // A listener may have closed the client in the middle of these actions.
      else if (life === this.#life) this.#go(action, error)
    }
  }

  #go(action: Exclude<Action, {do: 'abort'}>, error: unknown): void {
    if (action.do === 'deliver') return this.deliver(action.event, action.control)
    if (action.do === 'open') {
      this.running = true
      this.stopped = undefined
      return void this.#follow(action)
    }
    if (action.do === 'opened') return this.tell({type: 'open'})
    const {do: what, reason, delayMs, attempt, status} = action
    const willRetry = what === 'lost'
    if (!willRetry) {
      const cause = error ?? (action.last && new Error(`${action.last} ${status || ''}`))
      this.stopped = new SseError(reason as StopReason, status, cause)
      this.running = false
    }
    this.tell({type: 'error', willRetry, reason, delayMs, attempt, status, error})
  }

  /** One timer for everything. It may ring too early, as bytes only move the watchdog back. */
  #arm(): void {
    const connector = this.#connector
    const dueMs = connector.deadlineMs()
    // A new timer for every chunk would cost more than reading it.
    if (this.#armedMs <= dueMs && dueMs < Infinity) return
    clearTimeout(this.#timer)
    this.#armedMs = dueMs
    const ring = () => {
      this.#armedMs = Infinity
      this.#perform(connector.tick(moment()))
    }
    // A timer that is asked for more than it can wait for rings at once.
    const waitMs = Math.min(dueMs - moment().nowMs, MAX_RETRY_MS)
    if (dueMs < Infinity) this.#timer = setTimeout(ring, waitMs)
  }

  async #follow({conn, lastEventId, renew, handover}: Action & {do: 'open'}): Promise<void> {
    const connector = this.#connector
    const {headers, body, credentials, fetch = globalThis.fetch} = this.#options
    const method = this.#method
    const abort = new AbortController()
    const {signal} = abort
    connector.online = globalThis.navigator?.onLine !== false
    this.#aborts.set(conn, abort)
    let how: Ending = 'error'
    let thrown: unknown
    try {
      const own = typeof headers === 'function' ? await headers({refused: renew}) : headers
      how = 'invalid_request'
      const sent = requestHeaders(own, lastEventId)
      how = 'error'
      if (method !== 'GET') connector.repeat = sent['idempotency-key'] ? 'broken' : 'unanswered'
      // Without a cache `fetch` says `Cache-Control: no-cache`, and no preflight asks for it.
      const init = {method, body, signal, headers: sent, cache: 'no-store', credentials}
      const separator = this.url.includes('?') ? '&' : '?'
      const url = this.url + (handover ? `${separator}${QUERY_HANDOVER}=1` : '')
      const response = await fetch(url, init as FetchInit)
      const {status, headers: got} = response
      const waitMs = retryAfterMs(got.get('retry-after') ?? '', Date.now())
      const type = got.get('content-type') ?? ''
      this.#perform(connector.responded(conn, status, type, waitMs, moment()))
      if (connector.holds(conn)) {
        how = 'unreadable'
        const reader = response.body!.getReader()
        how = 'error'
        await this.#read(conn, reader, lastEventId)
        how = 'eof'
      }
    } catch (error) {
      thrown = error
      if (error instanceof OversizedError) how = 'oversized'
    }
    abort.abort()
    this.#aborts.delete(conn)
    this.#perform(connector.ended(conn, how, moment()), thrown)
  }

  async #read(
    conn: number,
    reader: ReturnType<NonNullable<FetchResponse['body']>['getReader']>,
    lastEventId: string
  ): Promise<void> {
    const connector = this.#connector
    const {onComment, onListenerError} = this.#options
    const parser = new Parser({...this.#options, lastEventId} as ParserOptions)
    for (;;) {
      const {value} = await reader.read()
      if (!value) return
      const at = moment()
      connector.activity(conn, at.nowMs)
      for (const item of parser.feed(value)) {
        if ('type' in item) this.#carryOut(connector.event(conn, item, at))
        else if ('retryMs' in item) connector.retry(conn, item.retryMs)
        else if (onComment) guard(() => onComment(item.comment), onListenerError)
        if (!connector.holds(conn)) return
      }
      connector.position(conn, parser.lastEventId)
      this.reach(connector.lastEventId)
      this.#arm()
      for (let room; (room = this.room()); ) {
        // This silence is ours, not the server's.
        connector.activity(conn, Infinity)
        await room
        connector.activity(conn, moment().nowMs)
        this.#arm()
      }
    }
  }
}
