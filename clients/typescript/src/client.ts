/**
 * The client: carries out what the {@link Connector} decides, with `fetch` and one timer.
 *
 * Each connection has its own AbortController and parser. A consumer that iterates too slowly makes
 * the reading stop; the server then sees a full socket and tells in a `gap` what was lost.
 */
import {moment} from './clock.js'
import {CONNECTED, CURSOR, HEADER_LAST_EVENT_ID, QUERY_HANDOVER, SHUTDOWN} from './contract.js'
import {Connector} from './connector.js'
import type {Action, LostReason, ReadyState, StopReason} from './connector.js'
import {DEFAULTS, retryAfterMs, type Settings} from './decisions.js'
import {watchLifecycle} from './lifecycle.js'
import {emit, type ErrorListener, type Listeners} from './listeners.js'
import {MAX_RETRY_MS, OversizedError, Parser, type ParsedEvent} from './parser.js'

/** An event from the server. */
export type SseEvent = ParsedEvent

/** The stream is open. */
export interface OpenEvent {
  readonly type: 'open'
}

/** The stream is lost for now (`willRetry`) or for good. */
export interface SseErrorEvent {
  readonly type: 'error'
  readonly reason: LostReason | StopReason
  readonly willRetry: boolean
  /** Milliseconds until the next attempt; 0 where there is none. */
  readonly delayMs: number
  /** Unplanned attempts used so far; a planned move uses none. */
  readonly attempt: number
  /** The HTTP status, 0 without a response. */
  readonly status: number
  /** What `fetch` or the header provider threw, if anything. */
  readonly error?: unknown
}

/** The iteration's end when the client has given up. */
export class SseError extends Error {
  readonly reason: StopReason
  /** The HTTP status, 0 without a response. */
  readonly status: number

  constructor(reason: StopReason, status: number) {
    super(`stopped: ${reason}`)
    this.reason = reason
    this.status = status
  }
}

/** The part of `fetch` that is used; bring your own for proxies or TLS. */
export type FetchLike = (url: string, init: RequestInit) => Promise<Response>

/**
 * Request headers, or what makes them anew for every attempt. `refused` is 401 or 403 where the
 * last ones were refused, else 0.
 */
export type HeadersSource =
  | Record<string, string>
  | ((request: {refused: number}) => Record<string, string> | Promise<Record<string, string>>)

/** Options of an {@link SseClient}; everything has a default. */
export interface SseClientOptions extends Partial<Omit<Settings, 'renewable'>> {
  readonly headers?: HeadersSource
  readonly credentials?: RequestCredentials
  /** Resume after this id. */
  readonly lastEventId?: string
  /** Longest line, in UTF-16 code units. */
  readonly maxLineLength?: number
  /** Most data of one event, in UTF-16 code units. */
  readonly maxEventLength?: number
  readonly fetch?: FetchLike
  /** Hears what a listener threw; default: a page's `reportError`, else the console. */
  readonly onListenerError?: ErrorListener
}

/** What a listener for `T` gets. */
export type EventOf<T extends string> = T extends 'open'
  ? OpenEvent
  : T extends 'error'
    ? SseErrorEvent
    : SseEvent

/** Reading stops while an iterator has this many events to take. */
const QUEUE_LENGTH = 1024
const NOT_ITERATED = [CONNECTED, CURSOR, SHUTDOWN]

/**
 * Follows one event stream through failures and rollouts. Nothing happens before `connect()`.
 * Throws a `RangeError` that names the option for a value that cannot work.
 */
export class SseClient implements AsyncIterable<SseEvent> {
  /** What is asked for; where it is relative, `fetch` resolves it. */
  readonly url: string

  readonly #options: SseClientOptions
  readonly #connector: Connector
  readonly #listeners: Listeners = new Map()
  readonly #aborts = new Map<number, AbortController>()
  readonly #queues = new Set<SseEvent[]>()
  #waiting: (() => void)[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Counts ends and new starts: what was decided in an earlier life is not told any more. */
  #life = 0
  #stopped: SseError | undefined
  #watching: AbortController | undefined

  constructor(url: string | URL, options: SseClientOptions = {}) {
    const settings = {...DEFAULTS, ...options, renewable: typeof options.headers === 'function'}
    for (const key in DEFAULTS) {
      // A back-off that shrinks would be none.
      if (!(+settings[key as keyof Settings] >= +(key === 'factor'))) throw new RangeError(key)
    }
    const [plain] = String(url).split('#') as [string]
    const separator = plain.includes('?') ? '&' : '?'
    this.url = plain + (settings.handover ? `${separator}${QUERY_HANDOVER}=1` : '')
    this.#options = options
    this.#connector = new Connector(settings, options.lastEventId)
  }

  /** CONNECTING (0), OPEN (1) or CLOSED (2). */
  get readyState(): ReadyState {
    return this.#connector.readyState
  }

  /** The id the next connection resumes after. */
  get lastEventId(): string {
    return this.#connector.lastEventId
  }

  /** Start following; does nothing when started. */
  connect(): void {
    const connector = this.#connector
    const again = () => this.#perform(connector.connect(moment()))
    if (!this.#watching) {
      this.#watching = new AbortController()
      const wake = () => this.#perform(connector.wake(moment()))
      const hide = () => this.#perform(connector.close())
      watchLifecycle(this.#watching.signal, wake, hide, again)
    }
    this.#stopped = undefined
    again()
  }

  /** Stop for good; nothing is delivered any more. May be called in any state, also twice. */
  close(): void {
    this.#life++
    // What had come before the client gave up by itself is still taken.
    if (!this.#watching || !this.#stopped) for (const queue of this.#queues) queue.length = 0
    this.#watching?.abort()
    this.#watching = undefined
    this.#perform(this.#connector.close())
    this.#pulse()
  }

  /** Drop what there is and connect now, resuming after the last event. */
  reconnect(): void {
    this.#life++
    this.#perform(this.#connector.close())
    this.connect()
  }

  /** Hear `open`, `error`, `message`, or any event by its name. A listener that throws harms none. */
  addEventListener<T extends string>(type: T, listener: (event: EventOf<T>) => void): void {
    this.#listeners.set(type, (this.#listeners.get(type) ?? new Set()).add(listener))
  }

  /** Hear it no more. */
  removeEventListener<T extends string>(type: T, listener: (event: EventOf<T>) => void): void {
    this.#listeners.get(type)?.delete(listener)
  }

  /**
   * The application's events, and `gap`. Connects if need be, and then closes when the loop is
   * left. Ends at `close()` and at 204; throws {@link SseError} when the client gives up.
   *
   * @param hidden The types that are passed over.
   */
  async *[Symbol.asyncIterator](hidden = NOT_ITERATED): AsyncGenerator<SseEvent, void, undefined> {
    const queue: SseEvent[] = []
    this.#queues.add(queue)
    const mine = !this.#watching && !this.#stopped
    if (mine) this.connect()
    try {
      for (;;) {
        for (let event; (event = queue.shift()); this.#pulse()) {
          if (!hidden.includes(event.type)) yield event
        }
        if (!this.#watching) break
        await this.#change()
      }
      if (this.#stopped && this.#stopped.reason !== 'no_content') throw this.#stopped
    } finally {
      this.#queues.delete(queue)
      // What has stopped is closed, and other loops may still be at it.
      if (mine && this.#watching) this.close()
      this.#pulse()
    }
  }

  /** Until an event has come or has been taken, or the client has closed. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #pulse(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #perform(actions: Action[], error?: unknown): void {
    const life = this.#life
    for (const action of actions) {
      if (action.do === 'abort') this.#aborts.get(action.conn)?.abort()
      // A listener may have closed the client in the middle of these actions.
      else if (life === this.#life) this.#go(action, error)
    }
    this.#arm()
  }

  #go(action: Exclude<Action, {do: 'abort'}>, error: unknown): void {
    if (action.do === 'open') {
      return void this.#follow(action)
    }
    if (action.do === 'opened') return this.#emit({type: 'open'})
    if (action.do === 'deliver') {
      const {event} = action
      for (const queue of this.#queues) queue.push(event)
      this.#pulse()
      this.#emit(event)
    } else {
      const {do: what, ...facts} = action
      if (what === 'stopped') {
        this.#stopped = new SseError(action.reason as StopReason, action.status)
        this.close()
      }
      this.#emit({type: 'error', willRetry: what === 'lost', ...facts, error})
    }
  }

  #emit(event: OpenEvent | SseErrorEvent | SseEvent): void {
    const life = this.#life
    emit(this.#listeners, event, () => life === this.#life, this.#options.onListenerError)
  }

  /** One timer for everything. It may ring too early, as bytes only move the watchdog back. */
  #arm(): void {
    clearTimeout(this.#timer)
    const connector = this.#connector
    const waitMs = connector.deadlineMs() - moment().nowMs
    const ring = () => this.#perform(connector.tick(moment()))
    // A timer that is asked for more than it can wait for rings at once.
    if (waitMs < Infinity) this.#timer = setTimeout(ring, Math.min(waitMs, MAX_RETRY_MS))
  }

  async #follow({conn, lastEventId, renew}: Action & {do: 'open'}): Promise<void> {
    const connector = this.#connector
    const abort = new AbortController()
    connector.online = globalThis.navigator?.onLine !== false
    this.#aborts.set(conn, abort)
    let how: 'eof' | 'error' | 'oversized' = 'eof'
    let thrown: unknown
    try {
      const response = await this.#request(abort.signal, lastEventId, renew)
      const {status, headers} = response
      const waitMs = retryAfterMs(headers.get('retry-after') ?? '', Date.now())
      const type = headers.get('content-type') ?? ''
      this.#perform(connector.responded(conn, status, type, waitMs, moment()))
      if (connector.holds(conn)) await this.#read(conn, response, lastEventId)
    } catch (error) {
      thrown = error
      how = error instanceof OversizedError ? 'oversized' : 'error'
    }
    abort.abort()
    this.#aborts.delete(conn)
    this.#perform(connector.ended(conn, how, moment()), thrown)
  }

  async #request(signal: AbortSignal, lastEventId: string, refused: number): Promise<Response> {
    const {headers, credentials, fetch = globalThis.fetch} = this.#options
    // The header's bytes are UTF-8 (WHATWG HTML 9.2.4), but `fetch` takes them as code units.
    const bytes = new TextEncoder().encode(lastEventId)
    const sent = {
      Accept: 'text/event-stream',
      ...(lastEventId && {[HEADER_LAST_EVENT_ID]: String.fromCharCode(...bytes)}),
      ...(typeof headers === 'function' ? await headers({refused}) : headers)
    }
    const init = {signal, headers: sent, cache: 'no-store', credentials} as RequestInit
    return fetch(this.url, init)
  }

  async #read(conn: number, {body}: Response, lastEventId: string): Promise<void> {
    const connector = this.#connector
    const parser = new Parser({...this.#options, lastEventId})
    const reader = body!.getReader()
    for (;;) {
      const {value} = await reader.read()
      if (!value) return
      connector.activity(conn, moment().nowMs)
      for (const item of parser.feed(value)) {
        if ('retryMs' in item) connector.retry(conn, item.retryMs)
        else if ('type' in item) this.#perform(connector.event(conn, item, moment()))
        if (!connector.holds(conn)) return
      }
      connector.position(conn, parser.lastEventId)
      while ([...this.#queues].some(({length}) => length >= QUEUE_LENGTH)) {
        // This silence is ours, not the server's.
        connector.activity(conn, Infinity)
        await this.#change()
        connector.activity(conn, moment().nowMs)
        this.#arm()
      }
    }
  }
}
