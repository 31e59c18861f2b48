/**
 * Received, handed over, handled: three positions that are not the same.
 *
 * A connection that breaks is resumed after what was *received*, because what waits here is kept. A
 * loop takes events one by one; what it took is *handed over*, and that is the client's
 * `lastEventId`: the next loop goes on behind it, and so does a stream that is opened after what
 * waited was dropped. *Handled* is what an acknowledging loop has finished (`handling-inbox.ts`).
 * Both languages run the same scenarios, `tests/vectors/client/positions.json`.
 *
 * Events are kept once, each leading to the next, for as long as some loop has yet to take them.
 */
import {GAP} from './contract.js'
import type {ParsedEvent} from './parser.js'

/** A position, numbered in the order of arrival: ids alone cannot be compared. */
export interface Place {
  readonly n: number
  id: string
  /** What came with it, if anything. */
  readonly event?: ParsedEvent | undefined
  next?: Place | undefined
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

export class Inbox {
  received: Place
  loops: Loop[] = []

  constructor(lastEventId = '') {
    this.received = {n: 0, id: lastEventId}
  }

  /** How much waits for the slowest loop. */
  get length(): number {
    return this.received.n - this.#slowest(this.loops).n
  }

  /** Handed over to every loop that runs, else to those that were left. */
  get place(): Place {
    const running = this.loops.filter(({left, lost}) => !left && !lost)
    return this.#slowest(running[0] ? running : this.loops)
  }

  /** An event has come, or a position alone. */
  receive(id: string, event?: ParsedEvent): void {
    const before = this.received
    if (!event) {
      if (id === before.id) return
      // Of several positions in a row the last one is enough.
      if (!before.event) return void (before.id = id)
    }
    this.received = {n: before.n + 1, id, event}
    if (this.loops[0]) before.next = this.received
    if (event) return
    for (const loop of this.loops) if (loop.at === before) loop.at = this.received
  }

  /** A loop begins; it goes on where one before it was left. */
  open(): Loop {
    let loop = this.loops.find(({left}) => left)
    if (!loop) this.loops.push((loop = {at: this.received}))
    loop.left = false
    return loop
  }

  /** The next event for a loop. */
  take(loop: Loop): ParsedEvent | undefined {
    const {at, lost} = loop
    if (lost) {
      loop.at = this.#slowest(this.loops)
      loop.lost = false
      return lagged(at.id, loop.at.id)
    }
    const {next} = at
    if (!next) return undefined
    loop.at = next
    // A place that is past and still leads to the next would make the collector keep all of them.
    if (this.loops.every((one) => one.lost || one.at.n > at.n)) at.next = undefined
    return next.event ?? this.take(loop)
  }

  leave(loop: Loop): void {
    loop.left = true
  }

  /** Go on without the slowest loops, if there are others (`heard`: those that listen). */
  lag(heard: boolean): void {
    const {n} = this.#slowest(this.loops)
    if (heard || this.loops.some(({at, lost}) => !lost && at.n > n)) {
      for (const loop of this.loops) {
        if (loop.at.n > n) continue
        loop.lost = true
        loop.at = detached(loop.at)
      }
    }
  }

  /** The stream is closed: what waits is dropped, and is to come again. */
  drop(): void {
    // What comes again comes later than all that has come.
    this.received = {n: this.received.n + 1, id: this.place.id}
    this.loops = this.loops.filter(({left}) => !left)
    for (const loop of this.loops) {
      loop.at = this.received
      loop.lost = false
    }
  }

  /** Where the slowest of these loops stands that is not lost. */
  #slowest(loops: Loop[]): Place {
    return least(loops.filter(({lost}) => !lost).map(({at}) => at)) ?? this.received
  }
}

/** A place to remember: from the place itself all that comes later would hang. */
export function detached({n, id}: Place): Place {
  return {n, id}
}

/** The first of them. */
export function least(places: Place[]): Place | undefined {
  return places.sort((a, b) => a.n - b.n)[0]
}

/** A `gap` of the client's own: what a consumer that was too slow, or away, has missed. */
export function lagged(from: string, to: string): ParsedEvent {
  return {type: GAP, data: JSON.stringify({from, to, reason: 'lagged'}), lastEventId: to}
}
