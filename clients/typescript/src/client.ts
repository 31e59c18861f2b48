/**
 * The client: one {@link Stream} for listeners and loops.
 *
 * Listeners are called as events come. A loop takes them one by one, so between the two stands an
 * {@link Inbox}, and a loop that takes nothing makes the reading stop.
 */
import type {ReadyState} from './actions.js'
import {CAPACITY, Inbox, type Loop} from './inbox.js'
import {Listeners} from './listeners.js'
import type {OpenEvent, SseClientOptions, SseErrorEvent, SseEvent} from './options.js'
import {createStream, type Stream} from './stream.js'
import type {UrlLike} from './web-types.js'

/** How long a loop that takes nothing holds up the reading for the other consumers. */
const PATIENCE_MS = 500

/**
 * Follows one event stream through failures and rollouts. Nothing happens before `connect()`.
 * Throws a `RangeError` that names the option for a value that cannot work, and a `TypeError` for
 * a URL, a header or a body that no request can have.
 */
export class SseClient extends Listeners implements AsyncIterable<SseEvent> {
  readonly #inbox: Inbox
  readonly #stream: Stream
  #waiting: (() => void)[] = []
  /** Whether a loop has connected it: then the last loop closes it. */
  #byLoop = false
  /** Counts ends and new starts: what was of an earlier life is not told any more. */
  #life = 0

  constructor(
    url: string | UrlLike,
    options: SseClientOptions = {},
    inbox = new Inbox(options.lastEventId)
  ) {
    super(options.onListenerError)
    this.#inbox = inbox
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
    this.#stream.start(this.resumeAfter())
  }

  /**
   * Stop for good; nothing is delivered any more. What waits for a loop is dropped: `connect()`, or
   * a new loop, resumes after `lastEventId`. May be called in any state, also twice.
   */
  close(): void {
    this.#life++
    this.#inbox.drop()
    this.#stream.stop()
    this.#pulse()
  }

  /** Drop the connection and connect now, resuming after the last event that has come. */
  reconnect(): void {
    this.#life++
    this.#stream.cut()
    this.connect()
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
      if (this.#byLoop && inbox.loops.every((one) => one.left)) {
        if (stream.running) this.close()
        else stream.stop()
      }
      this.#pulse()
    }

    return {
      // Not an async generator: there `return` would wait for an event that may never come.
      next: async () => {
        // Several are served in the order in which they were asked for.
        while (waiting) await waiting
        while (!left) {
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
            return {value, done: false}
          }
          if (!stream.running) {
            leave()
            const {stopped} = stream
            if (stopped && !/no_content|ended/.test(stopped.reason)) throw stopped
          } else {
            waiting = this.#change()
            await waiting
            waiting = undefined
          }
        }
        return {value: undefined, done: true}
      },
      return: async (value) => {
        leave()
        return {value: await value, done: true}
      },
      throw: async (error) => {
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

  /** Where a stream that is opened now resumes. */
  protected resumeAfter(): string {
    return this.#inbox.received.id
  }

  #deliver(event: SseEvent, control: boolean): void {
    const inbox = this.#inbox
    if (control) inbox.receive(event.lastEventId)
    else {
      // What no consumer has taken is kept for the first one that does.
      if (!inbox.loops[0] && !this.heard) inbox.leave(inbox.open())
      inbox.receive(event.lastEventId, event)
    }
    this.#pulse()
    this.#emit(event)
    this.advanced()
  }

  #emit(event: OpenEvent | SseErrorEvent | SseEvent): void {
    const life = this.#life
    this.emit(event, () => life === this.#life)
  }

  /** Until loops have made room; one that takes nothing holds up the others for so long only. */
  async #room(): Promise<void> {
    const inbox = this.#inbox
    const {length} = inbox
    const timer = setTimeout(() => {
      if (inbox.length >= length) inbox.lag(this.heard)
      this.#pulse()
    }, PATIENCE_MS)
    await this.#change()
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
