/**
 * `tidegate/shared`: one stream for all tabs of an origin.
 *
 * A browser opens six connections to an HTTP/1.1 origin, so a seventh tab with a stream of its own
 * would hang. Here the tabs queue for a Web Lock; the one that holds it leads: it follows the stream
 * and passes every event on over a BroadcastChannel. When it closes, the next in the queue goes on
 * after the last event it has seen itself, and each tab drops what it has already had. Where the
 * browser has no locks or channels, or does not give them, every tab leads itself.
 */
import {CLOSED, CONNECTING, OPEN, type ReadyState} from './actions.js'
import {CONNECTED, SHUTDOWN} from './contract.js'
import {isAfter} from './ids.js'
import {lagged} from './inbox.js'
import {watchLifecycle} from './lifecycle.js'
import {Listeners} from './listeners.js'
import type {OpenEvent, SseClientOptions, SseErrorEvent, SseEvent} from './options.js'
import {checked} from './request.js'
import {createStream, type Stream} from './stream.js'
import type {UrlLike, WebBroadcastChannel, WebLockManager} from './web-types.js'

/** What the tabs say to each other. */
type Word =
  | {readonly kind: 'hello'}
  | {readonly kind: 'state'; readonly readyState: ReadyState; readonly lastEventId: string}
  | {readonly kind: 'event'; readonly event: Passed; readonly ordered: boolean}

type Passed = SseEvent | OpenEvent | SseErrorEvent

/** The parts of the browser that are used; anything else may stand in for them. */
export interface SharedPlatform {
  readonly locks?: Pick<WebLockManager, 'request'> | undefined
  readonly channel?: ((name: string) => WebBroadcastChannel) | undefined
}

/** Options: the client's, and the name under which tabs find each other (default: the URL). */
export interface SharedSseClientOptions extends SseClientOptions {
  readonly name?: string | undefined
  readonly platform?: SharedPlatform | undefined
}

/** The same as an {@link SseClient} for listeners, on a stream that all tabs share. */
export class SharedSseClient extends Listeners {
  readonly url: string | UrlLike
  readonly #options: SharedSseClientOptions
  readonly #name: string
  #watching: AbortController | undefined
  #membership: AbortController | undefined
  #channel: BroadcastChannel | undefined
  #stream: Stream | undefined
  /** Gives the lock back. */
  #release = () => {}
  #readyState: ReadyState = CLOSED
  #lastEventId: string
  /** From this tab's hello until it has been told where the others are. */
  #joining = false
  /** Whether the stream has used up its attempts. */
  #exhausted = false

  constructor(url: string | UrlLike, options: SharedSseClientOptions = {}) {
    super(options.onListenerError)
    // What can be found at once is thrown here and not in the tab that leads.
    checked(String(url), options)
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
    return this.#stream !== undefined
  }

  /** Join the tabs; does nothing when joined. */
  connect(): void {
    const {signal} = this.#options
    if (this.#readyState !== CLOSED || signal?.aborted) return
    this.#readyState = CONNECTING
    this.#exhausted = false
    this.#watching?.abort()
    this.#watching = new AbortController()
    watchLifecycle(this.#watching.signal, signal, {
      wake: () => this.#exhausted && this.connect(),
      hide: () => this.#leave(),
      show: () => !this.#exhausted && this.#join(),
      close: () => this.close()
    })
    this.#join()
  }

  /** Leave the tabs; the next one takes over. */
  close(): void {
    this.#readyState = CLOSED
    this.#watching?.abort()
    this.#leave()
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
      if (signal.aborted || this.#stream) return undefined
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
    this.#stream?.stop()
    this.#stream = undefined
    this.#channel?.close()
    this.#channel = undefined
    this.#release()
  }

  /** Follow the stream for all, until this tab leaves or the stream is over; holds the lock. */
  #lead(membership: AbortSignal): Promise<void> | undefined {
    if (membership.aborted) return undefined
    this.#joining = false
    // Only a Tidegate server gives every event an id of its own.
    let ordered = false
    const pass = (event: Passed) => {
      this.#say({kind: 'event', event, ordered})
      this.#deliver(event, ordered)
    }
    const stream = createStream(this.url, this.#options, {
      deliver: (event, control) => {
        const {type, lastEventId} = event
        if (!control) return pass(event)
        if (type === SHUTDOWN) return
        if (type === CONNECTED) {
          ordered = true
          // A tab that has seen something gets to the new position by what is replayed, or by a gap.
          this.#lastEventId ||= lastEventId
        } else this.#lastEventId = lastEventId
        this.#sayState()
      },
      tell: (change) => {
        this.#readyState = stream.readyState
        if (change.type === 'open' || change.willRetry) return pass(change)
        this.#say({kind: 'event', event: change, ordered})
        this.#end(change, ordered)
      },
      close: () => this.close()
    })
    this.#stream = stream
    const held = new Promise<void>((resolve) => (this.#release = resolve))
    stream.start(this.#lastEventId)
    return held
  }

  /** The stream is over. Left before it is told: a listener may start again. */
  #end(event: SseErrorEvent, ordered: boolean): void {
    const watching = this.#watching
    this.#watching = undefined
    this.close()
    // The network may come back, and then it is asked for again.
    this.#exhausted = event.reason === 'exhausted'
    if (this.#exhausted) this.#watching = watching
    else watching?.abort()
    this.#deliver(event, ordered)
  }

  #heard(word: Word): void {
    if (word.kind === 'hello') return this.#stream && this.#sayState()
    if (word.kind === 'state') {
      this.#readyState = word.readyState
      return this.#reach(word.lastEventId)
    }
    // What comes before the first position is behind it, and told as lost with all the rest.
    if (this.#joining && this.#lastEventId && 'data' in word.event && word.ordered) return
    if (!('willRetry' in word.event)) this.#readyState = OPEN
    else if (word.event.willRetry) this.#readyState = CONNECTING
    else return this.#end(word.event, word.ordered)
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
    this.#deliver(lagged(from, to), false)
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
    this.emit(event, wanted)
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

function browser(): SharedPlatform {
  const {navigator, BroadcastChannel} = globalThis
  return {
    locks: navigator?.locks,
    channel: BroadcastChannel && ((name) => new BroadcastChannel(name))
  }
}
