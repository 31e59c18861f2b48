/**
 * `tidegate/shared`: one stream for all tabs of an origin.
 *
 * A browser opens six connections to an HTTP/1.1 origin, so a seventh tab with a stream of its own
 * would hang. Here the tabs queue for a Web Lock; the one that holds it leads: it follows the stream
 * and passes every event on over a BroadcastChannel. When it closes, the next in the queue goes on
 * after the last event it has seen itself, and each tab drops what it has already had. Where the
 * browser has no locks or channels, every tab leads itself.
 */
import {SseClient, type EventOf, type SseClientOptions} from './client.js'
import type {OpenEvent, SseErrorEvent, SseEvent} from './client.js'
import {CLOSED, CONNECTING, OPEN, type ReadyState} from './connector.js'
import {CONNECTED, CURSOR, readControl} from './contract.js'
import {watchLifecycle} from './lifecycle.js'
import {emit, type Listeners} from './listeners.js'

/** What the tabs say to each other. */
type Word =
  | {readonly kind: 'hello'}
  | {readonly kind: 'state'; readonly readyState: ReadyState; readonly lastEventId: string}
  | {readonly kind: 'event'; readonly event: Passed; readonly ordered: boolean}

type Passed = SseEvent | OpenEvent | SseErrorEvent

/** The parts of the browser that are used; anything else may stand in for them. */
export interface SharedPlatform {
  readonly locks?: Pick<LockManager, 'request'> | undefined
  readonly channel?: ((name: string) => BroadcastChannel) | undefined
}

/** Options: the client's, and the name under which tabs find each other (default: the URL). */
export interface SharedSseClientOptions extends SseClientOptions {
  readonly name?: string
  readonly platform?: SharedPlatform
}

/** The same as an {@link SseClient} for listeners, on a stream that all tabs share. */
export class SharedSseClient {
  readonly url: string | URL
  readonly #options: SharedSseClientOptions
  readonly #listeners: Listeners = new Map()
  readonly #name: string
  #watching: AbortController | undefined
  #membership: AbortController | undefined
  #channel: BroadcastChannel | undefined
  #client: SseClient | undefined
  #readyState: ReadyState = CLOSED
  #lastEventId: string

  constructor(url: string | URL, options: SharedSseClientOptions = {}) {
    this.url = url
    this.#options = options
    this.#name = `tidegate:${options.name ?? String(url)}`
    this.#lastEventId = options.lastEventId ?? ''
  }

  /** CONNECTING (0), OPEN (1) or CLOSED (2), of the stream wherever it is. */
  get readyState(): ReadyState {
    return this.#readyState
  }

  /** The id of the last event this tab has had. */
  get lastEventId(): string {
    return this.#lastEventId
  }

  /** Whether this tab follows the stream for the others. */
  get leads(): boolean {
    return this.#client !== undefined
  }

  /** Join the tabs; does nothing when joined. */
  connect(): void {
    if (this.#readyState !== CLOSED) return
    this.#readyState = CONNECTING
    watchLifecycle((this.#watching = new AbortController()).signal, {
      wake: () => undefined,
      hide: () => this.#leave(),
      show: () => this.#join()
    })
    this.#join()
  }

  /** Leave the tabs; the next one takes over. */
  close(): void {
    this.#readyState = CLOSED
    this.#watching?.abort()
    this.#leave()
  }

  addEventListener<T extends string>(type: T, listener: (event: EventOf<T>) => void): void {
    this.#listeners.set(type, (this.#listeners.get(type) ?? new Set()).add(listener))
  }

  removeEventListener<T extends string>(type: T, listener: (event: EventOf<T>) => void): void {
    this.#listeners.get(type)?.delete(listener)
  }

  #join(): void {
    const {signal} = (this.#membership = new AbortController())
    const {locks, channel} = this.#options.platform ?? browser()
    if (!locks || !channel) return void this.#lead(signal)
    this.#channel = channel(this.#name)
    this.#channel.onmessage = ({data}: MessageEvent<Word>) => this.#heard(data)
    this.#say({kind: 'hello'})
    locks.request(this.#name, {signal}, () => this.#lead(signal)).catch(() => undefined)
  }

  #leave(): void {
    this.#membership?.abort()
    this.#membership = undefined
    this.#client?.close()
    this.#client = undefined
    this.#channel?.close()
    this.#channel = undefined
  }

  /** Follow the stream for all, until this tab leaves or the stream is over; holds the lock. */
  async #lead(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const client = new SseClient(this.url, {...this.#options, lastEventId: this.#lastEventId})
    this.#client = client
    let ordered = false
    const pass = (event: Passed) => {
      this.#say({kind: 'event', event, ordered})
      this.#deliver(event, ordered)
    }
    const change = (event: OpenEvent | SseErrorEvent) => {
      this.#readyState = client.readyState
      pass(event)
    }
    client.addEventListener('open', change)
    client.addEventListener('error', change)
    client.addEventListener(CONNECTED, ({data}) => (ordered = isTidegate(data)))
    client.addEventListener(CURSOR, ({lastEventId}) => {
      this.#lastEventId = lastEventId
      this.#sayState()
    })
    try {
      for await (const event of client) pass(event)
    } catch {
      // The client has given up, and its last `error` event has said so to every tab.
    }
    if (this.#client === client) this.close()
  }

  #heard(word: Word): void {
    if (word.kind === 'hello') return this.#client && this.#sayState()
    if (word.kind === 'state') {
      this.#readyState = word.readyState
      if (isAfter(word.lastEventId, this.#lastEventId)) this.#lastEventId = word.lastEventId
      return
    }
    if ('willRetry' in word.event) this.#readyState = word.event.willRetry ? CONNECTING : CLOSED
    else this.#readyState = OPEN
    this.#deliver(word.event, word.ordered)
    if (this.#readyState === CLOSED) this.close()
  }

  #deliver(event: Passed, ordered: boolean): void {
    if ('lastEventId' in event) {
      // What a new leader had not yet seen, this tab may have had from the old one.
      if (ordered && !isAfter(event.lastEventId, this.#lastEventId)) return
      this.#lastEventId = event.lastEventId
    }
    const membership = this.#membership
    const wanted = () => membership === this.#membership
    emit(this.#listeners, event, wanted, this.#options.onListenerError)
  }

  #sayState(): void {
    this.#say({kind: 'state', readyState: this.#readyState, lastEventId: this.#lastEventId})
  }

  #say(word: Word): void {
    this.#channel?.postMessage(word)
  }
}

/** Whether `id` is a later position than `seen`, as far as they can be compared. */
function isAfter(id: string, seen: string): boolean {
  const [, epoch, seq] = /^(.+)-(\d+)$/.exec(id) ?? []
  const [, seenEpoch, seenSeq] = /^(.+)-(\d+)$/.exec(seen) ?? []
  return epoch && epoch === seenEpoch ? Number(seq) > Number(seenSeq) : id !== seen
}

/** Only a Tidegate server gives every event an id of its own. */
function isTidegate(data: string): boolean {
  return readControl(data, 'heartbeat_ms', 'spread_ms') !== undefined
}

function browser(): SharedPlatform {
  const {navigator, BroadcastChannel} = globalThis
  return {
    locks: navigator?.locks,
    channel: BroadcastChannel && ((name) => new BroadcastChannel(name))
  }
}
