/**
 * Received, handed over, handled: three positions that are not the same.
 *
 * A connection that breaks is resumed after what was *received*, because what waits here is kept. A
 * loop takes events one by one; what it took is *handed over*, and that is the client's
 * `lastEventId`: the next loop goes on behind it, and so does a stream that is opened after what
 * waited was dropped. *Handled* is what an acknowledging loop has finished (`handling-inbox.ts`).
 * Both languages run the same scenarios, `tests/vectors/client/positions.json`.
 *
 * Events are kept once, for as long as some loop has yet to take them.
 */
import {GAP} from './contract.js'
import type {ParsedEvent} from './parser.js'

/** A position, numbered in the order of arrival: ids alone cannot be compared. */
export interface Place {
  readonly n: number
  id: string
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
  /** An event that it has taken and not finished, if that counts. */
  hand?: Taken | undefined
  /** An event that it was left with, and is to be given again. */
  again?: Taken | undefined
}

/** An event, and where its loop stood before it. */
export interface Taken {
  readonly event: ParsedEvent
  readonly before: Place
}

/** Reading stops while a loop has this many events to take. */
export const CAPACITY = 1024

export class Inbox {
  received: Place
  readonly loops = new Set<Loop>()
  /** Numbered without a gap. */
  #items: Place[] = []
  /** What was handed over when all that waited was dropped. */
  #dropped: Place | undefined

  constructor(lastEventId = '') {
    this.received = {n: 0, id: lastEventId}
  }

  /** How much waits for the slowest loop. */
  get length(): number {
    return this.received.n - this.#slowest().n
  }

  /** Handed over to every loop that runs, else to those that were left. */
  get place(): Place {
    const loops = [...this.loops].filter(({lost}) => !lost)
    const running = loops.filter(({left}) => !left)
    const counted = running[0] ? running : loops
    return least(counted.map(({again, at}) => again?.before ?? at)) ?? this.received
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
    if (!this.loops.size) return
    this.#items.push(this.received)
    if (event) return
    for (const loop of this.loops) if (loop.at === before && !loop.hand) loop.at = this.received
    this.#trim()
  }

  /** A loop begins; it goes on where one before it was left. */
  open(): Loop {
    const loop = [...this.loops].find(({left}) => left) ?? {at: this.received}
    this.loops.add(loop)
    loop.left = false
    return loop
  }

  /** The next event for a loop. */
  take(loop: Loop): ParsedEvent | undefined {
    const {at, lost} = loop
    if (lost) {
      loop.at = this.#slowest()
      loop.lost = false
      return lagged(at.id, loop.at.id)
    }
    const [first] = this.#items
    const next = first && this.#items[at.n + 1 - first.n]
    if (!next) return undefined
    loop.at = next
    // Seldom, as it costs more than to take an event.
    if (next === this.received || next.n % 64 === 0) this.#trim()
    return next.event ?? this.take(loop)
  }

  leave(loop: Loop): void {
    loop.left = true
  }

  /** Go on without the slowest loops, if there are others (`heard`: those that listen). */
  lag(heard: boolean): void {
    const {n} = this.#slowest()
    const loops = [...this.loops].filter(({lost}) => !lost)
    if (!heard && loops.every(({at}) => at.n === n)) return
    for (const loop of loops) loop.lost = loop.at.n === n
    this.#trim()
  }

  /** The stream is closed: what waits is dropped, and is to come again. */
  drop(): void {
    const {place} = this
    this.#dropped ??= place
    this.#items = []
    // What comes again comes later than all that has come.
    this.received = {n: this.received.n + 1, id: place.id}
    for (const loop of this.loops) {
      loop.at = this.received
      loop.lost = false
    }
  }

  /** Where a stream that is opened now resumes; `held`: what listeners have not handled is behind. */
  resume(held?: Place): string {
    if (this.#dropped) {
      this.received.id = least(held ? [held, this.#dropped] : [this.#dropped])!.id
      this.#dropped = undefined
      for (const loop of this.loops) if (loop.left) this.loops.delete(loop)
    }
    return this.received.id
  }

  /** Where the slowest loop stands that is not lost. */
  #slowest(): Place {
    let place = this.received
    for (const {at, lost} of this.loops) if (!lost && at.n < place.n) place = at
    return place
  }

  #trim(): void {
    const [first] = this.#items
    if (first) this.#items.splice(0, this.#slowest().n + 1 - first.n)
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
