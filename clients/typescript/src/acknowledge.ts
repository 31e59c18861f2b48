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
import {SseClient} from './client.js'
import {moment} from './clock.js'
import {GAP, isReserved} from './contract.js'
import {DEFAULTS, retryAfterMs, type Settings} from './decisions.js'
import {HandlingInbox} from './handling-inbox.js'
import {isAfter} from './ids.js'
import {least, type Place} from './inbox.js'
import {guard, type ListenerOptions} from './listeners.js'
import type {EventOf, SseClientOptions, SseEvent} from './options.js'
import {MAX_RETRY_MS} from './parser.js'
import {given, requestHeaders} from './request.js'
import type {FetchResponse, UrlLike} from './web-types.js'

/** Query key by which a client names its stream. */
export const QUERY_STREAM = 'stream'
/** What follows a stream's path where its events are acknowledged. */
export const PATH_ACKNOWLEDGE = '/ack'

/** Options: the client's, and how it acknowledges. */
export interface AcknowledgingOptions extends SseClientOptions {
  /** Off: nothing is acknowledged but by `acknowledge()`. Default: on. */
  readonly automatic?: boolean | undefined
  /** At most one acknowledgement is sent in this time. */
  readonly acknowledgeEveryMs?: number | undefined
  /** Gets every acknowledgement that is not kept; status 0: no answer. */
  readonly onAcknowledgeError?: ((error: {status: number; willRetry: boolean}) => void) | undefined
}

/** An event that listeners have not handled. */
interface Unhandled {
  /** All before it has come. */
  readonly before: Place
  done: boolean
}

/**
 * An {@link SseClient} that acknowledges. An event that a loop leaves unfinished comes to the next
 * loop again. A listener that throws or rejects has not handled its event: nothing behind it is
 * acknowledged but by `acknowledge()`, so it comes again when the client is closed and connected
 * anew, or in the next life. Throws a `RangeError` for a URL that does not name its stream.
 */
export class AcknowledgingSseClient extends SseClient {
  readonly acknowledgeUrl: string
  readonly #options: AcknowledgingOptions
  readonly #inbox: HandlingInbox
  readonly #pacer: AckPacer
  readonly #tracked = new Map<unknown, (event: never) => unknown>()
  readonly #unhandled: Unhandled[] = []
  #automatic = true
  /** A listener has failed at the last event in `#unhandled`: nothing behind it counts. */
  #failed = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #watching: AbortController | undefined
  #sending: Promise<void> | undefined
  #refused = 0

  constructor(url: string | UrlLike, options: AcknowledgingOptions = {}) {
    const postUrl = acknowledgeUrl(String(url).replace(/#.*/s, ''))
    // Only a Tidegate server keeps acknowledgements, so it need not ask for handovers first.
    const inbox = new HandlingInbox(options.lastEventId)
    super(url, {...options, handover: options.handover ?? true}, inbox)
    this.#inbox = inbox
    const {acknowledgeEveryMs = ACKNOWLEDGE_EVERY_MS, automatic = true, headers} = options
    if (!(acknowledgeEveryMs >= 0)) throw new RangeError('acknowledgeEveryMs')
    this.acknowledgeUrl = postUrl
    this.#options = options
    const renewable = typeof headers === 'function'
    const settings = {...DEFAULTS, ...given(options), renewable} as Settings
    this.#pacer = new AckPacer(acknowledgeEveryMs, settings)
    this.#automatic = automatic
  }

  /** The last id that the server has kept. */
  get acknowledged(): string {
    return this.#pacer.kept
  }

  /** Say that everything up to this event (or id) is done; it is sent soon. */
  acknowledge(event: SseEvent | string): void {
    const id = typeof event === 'string' ? event : event.lastEventId
    this.#inbox.finish(id)
    this.#take(id)
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
    super.connect()
    if (this.#watching) return
    // What was not handled comes again.
    this.#unhandled.length = 0
    this.#failed = false
    this.#watching = new AbortController()
    const {signal} = this.#watching
    const {document} = globalThis
    const leaving = () => void this.flush()
    globalThis.addEventListener?.('pagehide', leaving, {signal})
    // The last thing that a page on a phone is sure to be told.
    document?.addEventListener?.(
      'visibilitychange',
      () => document.visibilityState === 'hidden' && leaving(),
      {signal}
    )
  }

  /** Flush, and stop for good. */
  override close(): void {
    this.#watching?.abort()
    this.#watching = undefined
    void this.flush()
    super.close()
  }

  override addEventListener<T extends string>(
    type: T,
    listener: (event: EventOf<T>) => void,
    options?: ListenerOptions | null
  ): void {
    if (type !== GAP && isReserved(type)) return super.addEventListener(type, listener, options)
    const tracked = this.#tracked.get(listener) ?? this.#track(listener as (e: SseEvent) => unknown)
    this.#tracked.set(listener, tracked)
    super.addEventListener(type, tracked as (event: EventOf<T>) => void, options)
  }

  override removeEventListener<T extends string>(
    type: T,
    listener: (event: EventOf<T>) => void
  ): void {
    super.removeEventListener(type, listener)
    const tracked = this.#tracked.get(listener)
    if (tracked) super.removeEventListener(type, tracked as (event: EventOf<T>) => void)
  }

  protected override resumeAfter(): string {
    return this.#inbox.resume(this.#unhandled[0]?.before)
  }

  protected override advanced(): void {
    const {handled} = this.#inbox
    const held = this.#unhandled[0]?.before
    if (this.#automatic) this.#take(least(held ? [held, handled] : [handled])!.id)
  }

  #track(listener: (event: SseEvent) => unknown): (event: SseEvent) => unknown {
    return (event) => {
      // Behind a failure nothing is acknowledged by itself.
      if (!this.#automatic || this.#failed) return listener(event)
      const entry = {before: this.#inbox.before, done: false}
      this.#unhandled.push(entry)
      const handled = new Promise<unknown>((resolve) => resolve(listener(event)))
      return handled.then(
        () => this.#handled(entry),
        (error) => this.#fail(entry, error)
      )
    }
  }

  #handled(entry: Unhandled): void {
    entry.done = true
    const unhandled = this.#unhandled
    while (unhandled[0]?.done) unhandled.shift()
    this.advanced()
  }

  /** The entry stays, and holds up all that is behind it. */
  #fail(entry: Unhandled, error: unknown): never {
    const at = this.#unhandled.indexOf(entry)
    if (at >= 0) {
      this.#unhandled.length = at + 1
      this.#failed = true
    }
    throw error
  }

  #take(id: string): void {
    const {waiting, sending, kept} = this.#pacer
    if (!isAfter(id, waiting || sending || kept)) return
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
      waitMs = retryAfterMs(response.headers.get('retry-after'), Date.now())
    } catch {
      // No answer: status 0 says so.
    }
    this.#refused = status === 401 || status === 403 ? status : 0
    const verdict = this.#pacer.answered(id, status, waitMs, moment())
    this.#arm()
    if (verdict === 'retry' || verdict === 'refused') {
      const {onAcknowledgeError: tell, onListenerError} = this.#options
      if (tell) guard(tell, onListenerError, {status, willRetry: verdict === 'retry'})
    }
  }

  async #request(id: string): Promise<FetchResponse> {
    const {headers, credentials, fetch = globalThis.fetch} = this.#options
    const {connectTimeoutMs = DEFAULTS.connectTimeoutMs} = this.#options
    const refused = this.#refused
    const own = typeof headers === 'function' ? await headers({refused}) : headers
    return fetch(this.acknowledgeUrl, {
      method: 'POST',
      // Of a plain text type: a cross-origin page needs no preflight for it (Fetch, CORS-safelisted).
      body: JSON.stringify({id}),
      headers: requestHeaders(own, '', '*/*'),
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
