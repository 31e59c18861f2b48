/**
 * The client: one {@link Stream} for listeners and loops.
 *
 * Listeners are called as events come. A loop takes them one by one, so between the two stands an
 * {@link Inbox}, and a loop that takes nothing makes the reading stop.
 */
import {isReserved} from './contract.js'
import {CAPACITY, Inbox, type Place} from './inbox.js'
import {type ErrorListener, type ListenerOptions, Listeners} from './listeners.js'
import type {EventOf, OpenEvent, SseClientOptions, SseErrorEvent, SseEvent} from './options.js'
import {Stream} from './stream.js'
import type {UrlLike} from './web-types.js'

/** How long a loop that takes nothing holds up the reading for the other consumers. */
const PATIENCE_MS = 500

/**
 * Follows one event stream through failures and rollouts. Nothing happens before `connect()`.
 * Throws a `RangeError` that names the option for a value that cannot work, and a `TypeError` for
 * a URL, a header or a body that no request can have.
 */
export class SseClient extends Stream implements AsyncIterable<SseEvent> {
  readonly #inbox: Inbox
  readonly #onListenerError: ErrorListener | undefined
  readonly #listeners = new Listeners()
  #waiting: (() => void)[] = []
  /** Counts ends and new starts: nothing of an earlier life is told. */
  #life = 0
  /** Whether a loop has connected it: then the last loop closes it. */
  #byLoop = false

  constructor(url: string | UrlLike, options: SseClientOptions = {}, inbox?: Inbox) {
    super(url, options)
    this.#onListenerError = options.onListenerError
    this.#inbox = inbox ?? new Inbox(options.lastEventId)
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
    if (!this.running) this.#byLoop = false
    this.start(this.#inbox.resume(this.held()))
  }

  /**
   * Stop for good; nothing is delivered any more. What waits for a loop is dropped: `connect()`, or
   * a new loop, resumes after `lastEventId`. May be called in any state, also twice.
   */
  close(): void {
    this.#life++
    this.#inbox.drop()
    this.stop()
    this.#pulse()
  }

  /** Drop the connection and connect now, resuming after the last event that has come. */
  reconnect(): void {
    this.#life++
    this.cut()
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
    const left = {left: false}
    const events = this.#events(left)
    for (const how of ['return', 'throw'] as const) {
      const leave = events[how].bind(events) as (value: unknown) => Promise<never>
      // Does not wait for an event that may never come.
      events[how] = (value: unknown) => {
        left.left = true
        this.#pulse()
        return leave(value)
      }
    }
    return events
  }

  /** Called when more may have been handled. */
  protected advanced(): void {}

  /** Up to where listeners have handled what they were given; all of it by default. */
  protected held(): Place | undefined {
    return undefined
  }

  async *#events(state: {left: boolean}): AsyncGenerator<SseEvent, void, undefined> {
    const inbox = this.#inbox
    if (!this.running) {
      this.connect()
      this.#byLoop = true
    }
    const loop = inbox.open()
    try {
      while (!state.left) {
        const event = inbox.take(loop)
        this.advanced()
        if (event) {
          this.#pulse()
          yield event
        } else if (this.running) await this.#change()
        else break
      }
      const {stopped} = this
      if (!state.left && stopped && !/no_content|ended/.test(stopped.reason)) throw stopped
    } finally {
      inbox.leave(loop)
      if (this.#byLoop && !inbox.running.length) {
        if (this.running) this.close()
        else this.stop()
      }
      this.#pulse()
    }
  }

  /** Whether somebody listens to the application's events. */
  get #heard(): boolean {
    for (const type of this.#listeners.types) if (!isReserved(type)) return true
    return false
  }

  protected override deliver(event: SseEvent, control: boolean): void {
    // What no consumer has taken is kept for the first one that does.
    this.#inbox.receive(event.lastEventId, control ? undefined : event, !control && !this.#heard)
    this.#pulse()
    this.tell(event)
    this.advanced()
  }

  protected override reach(id: string): void {
    this.#inbox.receive(id)
    this.#pulse()
    this.advanced()
  }

  protected override tell(event: OpenEvent | SseErrorEvent | SseEvent): void {
    const life = this.#life
    if (!('data' in event)) this.#pulse()
    this.#listeners.emit(event, () => life === this.#life, this.#onListenerError)
  }

  protected override room(): Promise<unknown> | undefined {
    return this.#inbox.length < CAPACITY ? undefined : this.#wait()
  }

  /** Until a loop has taken something; one that takes nothing holds up the others for so long only. */
  async #wait(): Promise<void> {
    let timer
    const late = new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE_MS, true)))
    if (await Promise.race([late, this.#change()])) this.#inbox.lag(this.#heard)
    clearTimeout(timer)
  }

  /** Until an event has come or has been taken, or the client has closed. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #pulse(): void {
    if (this.#waiting.length) for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
