/**
 * Received, handed over, handled: three positions that are not the same.
 *
 * A connection that breaks is resumed after what was *received*, because what waits here is kept. A
 * loop takes events one by one; what it took is *handed over*, and that is the client's
 * `lastEventId`: the next loop goes on behind it, and so does a stream that is opened after what
 * waited was dropped. *Handled* is what an acknowledging loop has finished (`acknowledge.ts`). Both
 * languages run the same scenarios, `tests/vectors/client/positions.json`.
 *
 * Events are kept once, for as long as some loop has yet to take them.
 */
import {GAP} from './contract.js'
import type {ParsedEvent} from './parser.js'

/** A position, numbered in the order of arrival: ids alone cannot be compared. */
export interface Place {
  readonly n: number
  readonly id: string
  /** What came with it, if anything. */
  readonly event?: ParsedEvent | undefined
}

/** One loop, or one that was left and waits for the next to go on with it. */
export interface Loop {
  /** Handed over up to here. */
  at: Place
  left?: boolean
  /** The others went on without it: what it has not taken is lost to it. */
  lost?: boolean
}

/** Reading stops while a loop has this many events to take. */
export const CAPACITY = 1024

export class Inbox<L extends Loop = Loop> {
  received: Place
  protected readonly loops = new Set<L>()
  #items: Place[] = []
  /** The last that is not kept any more. */
  #gone: Place
  #dropped = false

  constructor(lastEventId = '') {
    this.received = this.#gone = {n: 0, id: lastEventId}
  }

  /** How much waits for the slowest loop. */
  get length(): number {
    return this.#items.length
  }

  /** Loops that run. */
  get running(): L[] {
    return [...this.loops].filter(({left}) => !left)
  }

  /** Handed over to every loop that runs, else to those that were left. */
  get place(): Place {
    const {running} = this
    const counted = running.length ? running : [...this.loops]
    return (
      least(counted.filter(({lost}) => !lost).map((loop) => this.placeOf(loop))) ?? this.received
    )
  }

  /** An event has come, or a position alone; `keep` it for the first loop there will be. */
  receive(id: string, event?: ParsedEvent, keep = false): void {
    if (!event && id === this.received.id) return
    if (keep && !this.loops.size) this.leave(this.open())
    const before = this.received
    this.received = {n: before.n + 1, id, event}
    if (!event) {
      for (const loop of this.loops)
        if (loop.at === before && this.idle(loop)) loop.at = this.received
      // Of several positions in a row the last one is enough.
      if (this.#items.length && !this.#items.at(-1)!.event) this.#items.pop()
    }
    this.#items.push(this.received)
    this.#trim()
  }

  /** A loop begins; it goes on where one before it was left. */
  open(): L {
    const loop = [...this.loops].find(({left}) => left) ?? ({at: this.received} as L)
    this.loops.add(loop)
    loop.left = false
    return loop
  }

  /** The next event for a loop. */
  take(loop: L): ParsedEvent | undefined {
    if (loop.lost) {
      const from = loop.at.id
      loop.at = this.#gone
      loop.lost = false
      return lagged(from, loop.at.id)
    }
    for (let next; (next = this.#items.find(({n}) => n > loop.at.n)); ) {
      loop.at = next
      this.#trim()
      if (next.event) return next.event
    }
    return undefined
  }

  leave(loop: L): void {
    loop.left = true
  }

  /** Go on without the slowest loops, if there are others (`heard`: those that listen). */
  lag(heard: boolean): void {
    const loops = [...this.loops].filter(({lost}) => !lost)
    const slow = loops.filter(({at}) => at.n < (this.#items[0]?.n ?? 0))
    if (!heard && slow.length === loops.length) return
    for (const loop of slow) loop.lost = true
    this.#trim()
  }

  /** The stream is closed: what waits is dropped, and is to come again. */
  drop(): void {
    this.#items = []
    this.#dropped = true
    for (const loop of this.loops) loop.lost = false
  }

  /** Where a stream that is opened now resumes; `held`: what listeners have not handled is behind. */
  resume(held?: Place): string {
    if (this.#dropped) {
      this.#dropped = false
      const {id} = least(held ? [held, this.place] : [this.place])!
      // What comes again comes later than all that has come.
      this.received = this.#gone = {n: this.received.n + 1, id}
      for (const loop of this.loops) {
        if (loop.left) this.loops.delete(loop)
        loop.at = this.received
      }
    }
    return this.received.id
  }

  protected placeOf({at}: L): Place {
    return at
  }

  /** Whether a loop that stands at a place has nothing more to do there. */
  protected idle(_: L): boolean {
    return true
  }

  #trim(): void {
    const items = this.#items
    let least = Infinity
    for (const {at, lost} of this.loops) if (!lost && at.n < least) least = at.n
    while (items[0] && items[0].n <= least) this.#gone = items.shift()!
  }
}

/** The first of them. */
export function least(places: Place[]): Place | undefined {
  return places.sort((a, b) => a.n - b.n)[0]
}

/** A `gap` of the client's own: what a consumer that was too slow, or away, has missed. */
export function lagged(from: string, to: string): ParsedEvent {
  return {type: GAP, data: JSON.stringify({from, to, reason: 'lagged'}), lastEventId: to}
}
