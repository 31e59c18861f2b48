/**
 * `tidegate/shared`: one stream for all tabs of an origin.
 *
 * A browser opens six connections to an HTTP/1.1 origin, so a seventh tab with a stream of its own
 * would hang. Here the tabs queue for a Web Lock; the one that holds it leads: it follows the stream
 * and passes every event on over a BroadcastChannel. When it closes, the next in the queue goes on
 * after the last event it has seen itself, and each tab drops what it has already had. Where the
 * browser has no locks or channels, or does not give them, every tab leads itself.
 */
import {SseClient, type EventOf, type SseClientOptions} from './client.js'
import type {OpenEvent, SseErrorEvent, SseEvent} from './client.js'
import {CLOSED, CONNECTING, OPEN, type ReadyState} from './connector.js'
import {CONNECTED, CURSOR, GAP, SHUTDOWN, readControl} from './contract.js'
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
  /** From this tab's hello until it has been told where the others are. */
  #joining = false

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
    const {signal} = (this.#watching = new AbortController())
    const wake = () => undefined
    watchLifecycle(signal, wake, () => this.#leave(), () => this.#join())
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
    this.#joining = true
    this.#say({kind: 'hello'})
    const alone = () => {
      if (signal.aborted || this.#client) return undefined
      // Others that are alone for the same reason would hear what they have already had.
      this.#channel?.close()
      this.#channel = undefined
      return this.#lead(signal)
    }
    const lock = locks.request(this.#name, {signal}, () => this.#lead(signal))
    lock.catch(alone).catch(() => undefined)
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
    this.#joining = false
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
    let last: SseErrorEvent | undefined
    client.addEventListener('open', change)
    client.addEventListener('error', (event) => {
      // A tab that hears of the end leaves: what had come before it is passed on first.
      if (event.willRetry) change(event)
      else last = event
    })
    try {
      // Positions are taken in order with the events, or those before them would count as had.
      for await (const event of client[Symbol.asyncIterator]([SHUTDOWN])) {
        if (signal.aborted) break
        const {type, data, lastEventId} = event
        if (type === CONNECTED) {
          ordered = isTidegate(data)
          // Who has seen something gets to the new position by what is replayed, or by a gap.
          this.#lastEventId ||= lastEventId
        } else if (type === CURSOR) this.#lastEventId = lastEventId
        else {
          pass(event)
          continue
        }
        this.#sayState()
      }
    } catch {
      // The client has given up, and its last `error` event says so to every tab.
    }
    if (signal.aborted) return
    if (last) this.#say({kind: 'event', event: last, ordered})
    // Left before it is heard: a listener may start again.
    this.close()
    if (last) this.#deliver(last, ordered)
  }

  #heard(word: Word): void {
    if (word.kind === 'hello') return this.#client && this.#sayState()
    if (word.kind === 'state') {
      this.#readyState = word.readyState
      return this.#reach(word.lastEventId)
    }
    // What comes before the first position is behind it, and told as lost with all the rest.
    if (this.#joining && this.#lastEventId && 'data' in word.event && word.ordered) return
    if (!('willRetry' in word.event)) this.#readyState = OPEN
    else if (word.event.willRetry) this.#readyState = CONNECTING
    else this.close()
    this.#deliver(word.event, word.ordered)
  }

  /** The others are at `to`; what they had while this tab was put aside is lost to it. */
  #reach(to: string): void {
    const from = this.#lastEventId
    const missed = this.#joining && from !== ''
    this.#joining = false
    if (!isAfter(to, from)) return
    this.#lastEventId = to
    if (!missed) return
    const data = JSON.stringify({from, to, reason: 'lagged'})
    this.#deliver({type: GAP, data, lastEventId: to}, false)
  }

  #deliver(event: Passed, ordered: boolean): void {
    if ('lastEventId' in event) {
      // What a new leader had not yet seen, this tab may have had from the old one.
      if (ordered && !isAfter(event.lastEventId, this.#lastEventId)) return
      this.#lastEventId = event.lastEventId
      this.#joining = false
    }
    const membership = this.#membership
    const wanted = () => membership === this.#membership
    emit(this.#listeners, event, wanted, this.#options.onListenerError)
  }

  #sayState(): void {
    this.#say({kind: 'state', readyState: this.#readyState, lastEventId: this.#lastEventId})
  }

  #say(word: Word): void {
    try {
      this.#channel?.postMessage(word)
    } catch {
      // What a provider of headers has thrown need not be of a kind that can be passed on.
      if (word.kind !== 'event') return
      this.#channel?.postMessage({...word, event: {...word.event, error: undefined}})
    }
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
