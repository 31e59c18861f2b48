/**
 * The client: one {@link Stream} for listeners and loops.
 *
 * Listeners are called as events come. A loop takes them one by one, so between the two stands an
 * {@link Inbox}, and a loop that takes nothing makes the reading stop.
 */
import type {ReadyState} from './actions.js'
import {isReserved} from './contract.js'
import {CAPACITY, Inbox, type Loop, type Place} from './inbox.js'
import {type ListenerOptions, Listeners} from './listeners.js'
import type {EventOf, OpenEvent, SseClientOptions, SseErrorEvent, SseEvent} from './options.js'
import {createStream, type Stream} from './stream.js'
import type {UrlLike} from './web-types.js'

/** How long a loop that takes nothing holds up the reading for the other consumers. */
const PATIENCE_MS = 500

/**
 * Follows one event stream through failures and rollouts. Nothing happens before `connect()`.
 * Throws a `RangeError` that names the option for a value that cannot work, and a `TypeError` for
 * a URL, a header or a body that no request can have.
 */
export class SseClient implements AsyncIterable<SseEvent> {
  readonly #inbox: Inbox
  readonly #stream: Stream
  readonly #listeners: Listeners
  #waiting: (() => void)[] = []
  /** Whether a loop has connected it: then the last loop closes it. */
  #byLoop = false

  constructor(
    url: string | UrlLike,
    options: SseClientOptions = {},
    inbox = new Inbox(options.lastEventId)
  ) {
    this.#inbox = inbox
    this.#listeners = new Listeners(options.onListenerError)
    this.#stream = createStream(url, options, {
      deliver: (event, control) => this.#deliver(event, control),
      tell: (change) => {
        this.#pulse()
        this.#emit(change)
      },
      reach: (id) => {
        inbox.receive(id)
        this.#pulse()
        this.advanced()
      },
      room: () => (inbox.length < CAPACITY ? undefined : this.#room()),
      close: () => this.close()
    })
  }

  /** What is asked for; where it is relative, `fetch` resolves it. */
  get url(): string {
    return this.#stream.url
  }

  /** CONNECTING (0), OPEN (1) or CLOSED (2). */
  get readyState(): ReadyState {
    return this.#stream.readyState
  }

  /**
   * The id of the last event that was handed over, to every loop there is, else to the listeners: a
   * checkpoint. What has come and waits for a loop is behind it.
   */
  get lastEventId(): string {
    return this.#inbox.place.id
  }

  /** Start following; does nothing when started. */
  connect(): void {
    if (!this.#stream.running) this.#byLoop = false
    this.#stream.start(this.#inbox.resume(this.held()))
  }

  /**
   * Stop for good; nothing is delivered any more. What waits for a loop is dropped: `connect()`, or
   * a new loop, resumes after `lastEventId`. May be called in any state, also twice.
   */
  close(): void {
    this.#inbox.drop()
    this.#stream.stop()
    this.#pulse()
  }

  /** Drop the connection and connect now, resuming after the last event that has come. */
  reconnect(): void {
    this.#stream.cut()
    this.connect()
  }

  /**
   * Listen to `open`, `error`, `message`, or any event by its name. A listener that throws, or
   * whose promise is rejected, harms none.
   */
  addEventListener<T extends string>(
    type: T,
    listener: (event: EventOf<T>) => void,
    options?: ListenerOptions
  ): void {
    this.#listeners.add(type, listener, options)
  }

  /** Listen no more. */
  removeEventListener<T extends string>(type: T, listener: (event: EventOf<T>) => void): void {
    this.#listeners.remove(type, listener)
  }

  /**
   * The application's events, and `gap`; goes on where a loop before it was left. Connects if need
   * be, and then closes when the last loop is left. Ends at `close()` and where there is nothing
   * more; throws {@link SseError} when the client gives up. A new loop then asks anew.
   */
  [Symbol.asyncIterator](): AsyncGenerator<SseEvent, void, undefined> {
    const inbox = this.#inbox
    const stream = this.#stream
    let loop: Loop | undefined
    let left = false
    let waiting: Promise<void> | undefined

    const leave = () => {
      if (left) return
      left = true
      if (!loop) return
      inbox.leave(loop)
      if (this.#byLoop && [...inbox.loops].every((one) => one.left)) {
        if (stream.running) this.close()
        else stream.stop()
      }
      this.#pulse()
    }

    // Not an async generator: that would take three turns for what is there, and `return` would
    // wait for an event that may never come.
    const next = (): Promise<IteratorResult<SseEvent, void>> => {
      // In the order in which they were asked for.
      if (waiting) return waiting.then(next)
      if (!left) {
        if (!loop) {
          if (!stream.running) {
            this.connect()
            this.#byLoop = true
          }
          loop = inbox.open()
        }
        const value = inbox.take(loop)
        this.advanced()
        if (value) {
          // Not for each: the reading costs more to wake than an event to take.
          if (this.#waiting[0] && inbox.length < CAPACITY / 2) this.#pulse()
          return Promise.resolve({value, done: false})
        }
        if (stream.running) {
          waiting = this.#change().then(() => (waiting = undefined))
          return waiting.then(next)
        }
        leave()
        const {stopped} = stream
        if (stopped && !/no_content|ended/.test(stopped.reason)) return Promise.reject(stopped)
      }
      return Promise.resolve({value: undefined, done: true})
    }

    return {
      next,
      async return(value) {
        leave()
        return {value: await value, done: true}
      },
      async throw(error) {
        leave()
        throw error
      },
      [Symbol.asyncIterator]() {
        return this
      }
    } as AsyncGenerator<SseEvent, void, undefined>
  }

  /** Called when more may have been handled. */
  protected advanced(): void {}

  /** Up to where listeners have handled what they were given; all of it by default. */
  protected held(): Place | undefined {
    return undefined
  }

  /** Whether there is a listener for the application's events. */
  #heard(): boolean {
    return this.#listeners.has((type) => !isReserved(type))
  }

  #deliver(event: SseEvent, control: boolean): void {
    const inbox = this.#inbox
    if (control) inbox.receive(event.lastEventId)
    else {
      // What no consumer has taken is kept for the first one that does.
      if (!inbox.loops.size && !this.#heard()) inbox.leave(inbox.open())
      inbox.receive(event.lastEventId, event)
    }
    this.#pulse()
    this.#emit(event)
    this.advanced()
  }

  #emit(event: OpenEvent | SseErrorEvent | SseEvent): void {
    const {life} = this.#stream
    this.#listeners.emit(event, () => life === this.#stream.life)
  }

  /** Until loops have made room; one that takes nothing holds up the others for so long only. */
  async #room(): Promise<void> {
    const inbox = this.#inbox
    const {length} = inbox
    let timer
    const late = new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE_MS, true)))
    if ((await Promise.race([late, this.#change()])) && inbox.length >= length) {
      inbox.lag(this.#heard())
    }
    clearTimeout(timer)
  }

  /** Until an event has come, there is room again, or the client has closed. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #pulse(): void {
    if (this.#waiting[0]) for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
