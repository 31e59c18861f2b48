/**
 * `tidegate/acknowledge`: a client that says how far the application is, and after a restart goes
 * on from there.
 *
 * The server keeps the last acknowledged id per client and name of the stream (`?stream=NAME`), and
 * a stream of that name that comes without a cursor resumes after it, on any pod. An event is
 * acknowledged once its listeners have handled it (their promises included), or once the loop that
 * took it asks for the next one; what was not finished comes again.
 */
import {ACKNOWLEDGE_EVERY_MS, AckPacer} from './ack-pacer.js'
import {SseClient, type EventOf, type SseClientOptions, type SseEvent} from './client.js'
import {moment} from './clock.js'
import {CONNECTED, CURSOR, SHUTDOWN} from './contract.js'
import {DEFAULTS, retryAfterMs} from './decisions.js'
import {report} from './listeners.js'
import {MAX_RETRY_MS} from './parser.js'

/** Query key by which a client names its stream. */
export const QUERY_STREAM = 'stream'
/** What follows a stream's path where its events are acknowledged. */
export const PATH_ACKNOWLEDGE = '/ack'

/** Options: the client's, and how it acknowledges. */
export interface AcknowledgingOptions extends SseClientOptions {
  /** Off: nothing is acknowledged but by `acknowledge()`. Default: on. */
  readonly automatic?: boolean
  /** At most one acknowledgement is sent in this time. */
  readonly acknowledgeEveryMs?: number
  /** Hears of acknowledgements that are not kept; status 0: no answer. */
  readonly onAcknowledgeError?: (error: {status: number; willRetry: boolean}) => void
}

/** Not an application's events: they are acknowledged as positions, when all before is handled. */
const POSITIONS = [CONNECTED, CURSOR]
const UNTRACKED = ['open', 'error', SHUTDOWN, ...POSITIONS]

interface Unhandled {
  readonly id: string
  done: boolean
}

/**
 * An {@link SseClient} that acknowledges. A listener that throws or rejects has not handled its
 * event: from then on nothing is acknowledged but by `acknowledge()`, so that it comes again.
 * Throws a `RangeError` for a URL that does not name its stream.
 */
export class AcknowledgingSseClient extends SseClient {
  readonly acknowledgeUrl: string
  readonly #options: AcknowledgingOptions
  readonly #pacer: AckPacer
  readonly #tracked = new Map<unknown, (event: never) => void>()
  #unhandled: Unhandled[] = []
  /** Loops that have taken an event and not asked for the next one. */
  #busyLoops = 0
  /** Counts what was said to be done, so that no earlier position is said after it. */
  #said = 0
  #automatic: boolean
  #timer: ReturnType<typeof setTimeout> | undefined
  #watching: AbortController | undefined
  #sending: Promise<void> | undefined
  #refused = 0

  constructor(url: string | URL, options: AcknowledgingOptions = {}) {
    super(url, options)
    const {acknowledgeEveryMs = ACKNOWLEDGE_EVERY_MS, automatic = true, headers} = options
    if (!(acknowledgeEveryMs >= 0)) throw new RangeError('acknowledgeEveryMs')
    this.acknowledgeUrl = acknowledgeUrl(this.url)
    this.#options = options
    const settings = {...DEFAULTS, ...options, renewable: typeof headers === 'function'}
    this.#pacer = new AckPacer(acknowledgeEveryMs, settings)
    this.#automatic = automatic
    for (const type of POSITIONS) super.addEventListener(type, (event) => this.#reached(event))
  }

  /** The last id that the server has kept. */
  get acknowledged(): string {
    return this.#pacer.kept
  }

  /** Say that everything up to this event (or id) is done; it is sent soon. */
  acknowledge(event: SseEvent | string): void {
    this.#said++
    this.#take(typeof event === 'string' ? event : event.lastEventId)
  }

  /** Send what waits now; whether the server has kept it. */
  async flush(): Promise<boolean> {
    const pacer = this.#pacer
    const newest = pacer.waiting || pacer.sending || pacer.kept
    this.#post(pacer.flush(moment()))
    await this.#sending
    return pacer.kept === newest
  }

  override connect(): void {
    if (!this.#watching) {
      this.#watching = new AbortController()
      const {signal} = this.#watching
      const {document} = globalThis
      const leaving = () => void this.flush()
      globalThis.addEventListener?.('pagehide', leaving, {signal})
      // The last thing that a page on a phone is sure to hear.
      document?.addEventListener?.(
        'visibilitychange',
        () => document.visibilityState === 'hidden' && leaving(),
        {signal}
      )
    }
    super.connect()
  }

  /** Flush, and stop for good. */
  override close(): void {
    this.#watching?.abort()
    this.#watching = undefined
    this.#unhandled = []
    void this.flush()
    super.close()
  }

  override addEventListener<T extends string>(type: T, listener: (event: EventOf<T>) => void): void {
    if (UNTRACKED.includes(type)) return super.addEventListener(type, listener)
    const tracked = this.#tracked.get(listener) ?? this.#track(listener as (e: SseEvent) => unknown)
    this.#tracked.set(listener, tracked)
    super.addEventListener(type, tracked as (event: EventOf<T>) => void)
  }

  override removeEventListener<T extends string>(
    type: T,
    listener: (event: EventOf<T>) => void
  ): void {
    const tracked = UNTRACKED.includes(type) ? listener : this.#tracked.get(listener)
    if (tracked) super.removeEventListener(type, tracked as (event: EventOf<T>) => void)
  }

  override async *[Symbol.asyncIterator](): AsyncGenerator<SseEvent, void, undefined> {
    for await (const event of super[Symbol.asyncIterator]()) {
      this.#busyLoops++
      try {
        yield event
      } finally {
        this.#busyLoops--
      }
      if (this.#automatic) this.acknowledge(event)
    }
  }

  #track(listener: (event: SseEvent) => unknown): (event: SseEvent) => void {
    return (event) => {
      if (!this.#automatic) return void listener(event)
      const entry = {id: event.lastEventId, done: false}
      this.#unhandled.push(entry)
      // All listeners of this event are called before the first promise goes on.
      const handled = new Promise<unknown>((resolve) => resolve(listener(event)))
      handled.then(() => this.#handled(entry), (error) => this.#failed(error))
    }
  }

  /** Acknowledges up to the first event that somebody is still at. */
  #handled(entry: Unhandled): void {
    entry.done = true
    const unhandled = this.#unhandled
    let last = ''
    while (unhandled[0]?.done) last = unhandled.shift()!.id
    if (last && unhandled[0]?.id !== last) this.acknowledge(last)
  }

  #failed(error: unknown): void {
    this.#automatic = false
    this.#unhandled = []
    ;(this.#options.onListenerError ?? report)(error)
  }

  /** A position of a stream that is quiet, or has just begun: all before it is handled. */
  #reached({lastEventId}: SseEvent): void {
    const said = this.#said
    // A loop that can go on has done so by then, and has said that it is busy.
    setTimeout(() => {
      const idle = !this.#unhandled.length && !this.#busyLoops && this.#said === said
      if (this.#automatic && idle && this.#watching) this.#take(lastEventId)
    })
  }

  #take(id: string): void {
    this.#pacer.acknowledge(id, moment())
    this.#arm()
  }

  #arm(): void {
    clearTimeout(this.#timer)
    const dueMs = this.#pacer.deadlineMs()
    // A closed client has sent what it had; it does not keep a process alive to try again.
    if (dueMs === Infinity || !this.#watching) return
    const waitMs = Math.min(dueMs - moment().nowMs, MAX_RETRY_MS)
    this.#timer = setTimeout(() => this.#post(this.#pacer.tick(moment())), waitMs)
  }

  #post(id: string): void {
    if (id) this.#sending = this.#send(id)
    this.#arm()
  }

  async #send(id: string): Promise<void> {
    let status = 0
    let waitMs = 0
    try {
      const response = await this.#request(id)
      status = response.status
      waitMs = retryAfterMs(response.headers.get('retry-after') ?? '', Date.now())
    } catch {
      // No answer: status 0 says so.
    }
    this.#refused = status === 401 || status === 403 ? status : 0
    const verdict = this.#pacer.answered(id, status, waitMs, moment())
    this.#arm()
    if (verdict === 'retry' || verdict === 'refused') {
      this.#options.onAcknowledgeError?.({status, willRetry: verdict === 'retry'})
    }
  }

  async #request(id: string): Promise<Response> {
    const {headers, credentials, fetch = globalThis.fetch} = this.#options
    const {connectTimeoutMs = DEFAULTS.connectTimeoutMs} = this.#options
    const refused = this.#refused
    return fetch(this.acknowledgeUrl, {
      method: 'POST',
      // Of a plain text type: a cross-origin page needs no preflight for it (Fetch, CORS-safelisted).
      body: JSON.stringify({id}),
      headers: typeof headers === 'function' ? await headers({refused}) : (headers ?? {}),
      // What is under way when the page goes is finished nevertheless.
      keepalive: true,
      signal: AbortSignal.timeout(connectTimeoutMs),
      ...(credentials && {credentials})
    })
  }
}

function acknowledgeUrl(url: string): string {
  const [path, query] = url.split('?') as [string, string?]
  if (!new RegExp(`(^|&)${QUERY_STREAM}=[\\w.-]{1,64}(&|$)`).test(query ?? '')) {
    throw new RangeError(`name the stream: /sse/subscribe/{client_id}?${QUERY_STREAM}=NAME`)
  }
  return `${path.replace(/\/$/, '')}${PATH_ACKNOWLEDGE}?${query}`
}
