/** An inbox that knows what is handled: an event counts when its loop asks for the next one. */
import {isAfter} from './ids.js'
import {detached, Inbox, type Loop, least, type Place} from './inbox.js'
import type {ParsedEvent} from './parser.js'

interface HandlingLoop extends Loop {
  /** An event that it has taken and not finished. */
  hand?: Taken | undefined
  /** An event that it was left with, and is to be given again. */
  again?: Taken | undefined
}

/** An event, and where its loop stood before it. */
interface Taken {
  readonly event: ParsedEvent
  readonly before: Place
}

export class HandlingInbox extends Inbox {
  declare loops: HandlingLoop[]
  /** Where the client stood before the last event came. */
  before = detached(this.received)
  /** What was handed over when all that waited was dropped. */
  #dropped: Place | undefined

  /** What a loop was left with was not handed over: it is given again. */
  override get place(): Place {
    const loops = this.loops.filter(({lost}) => !lost)
    const running = loops.filter(({left}) => !left)
    const counted = running[0] ? running : loops
    return least(counted.map(({again, at}) => again?.before ?? at)) ?? this.received
  }

  /** Handled by every loop. */
  get handled(): Place {
    const places = this.loops.map(({hand, again, at}) => (hand ?? again)?.before ?? at)
    return least(places) ?? this.received
  }

  /** All up to `id` is handled, whether a loop has asked for the next one or not. */
  finish(id: string): void {
    for (const loop of this.loops) {
      if (loop.hand && !isAfter(loop.hand.event.lastEventId, id)) loop.hand = undefined
    }
  }

  /** Where a stream that is opened now resumes; `held`: what listeners have not handled is behind. */
  resume(held?: Place): string {
    if (this.#dropped) {
      this.received.id = least(held ? [held, this.#dropped] : [this.#dropped])!.id
      this.#dropped = undefined
    }
    return this.received.id
  }

  override receive(id: string, event?: ParsedEvent): void {
    const {received} = this
    this.before = detached(received)
    // A position behind an event in hand comes in its turn.
    const inHand = event ? [] : this.loops.filter(({hand, at}) => hand && at === received)
    super.receive(id, event)
    for (const loop of inHand) loop.at = received
  }

  override take(loop: HandlingLoop): ParsedEvent | undefined {
    const before = loop.at
    loop.hand = loop.again
    loop.again = undefined
    if (loop.hand) return loop.hand.event
    const event = super.take(loop)
    if (event) loop.hand = {event, before}
    return event
  }

  override leave(loop: HandlingLoop): void {
    loop.again = loop.hand
    loop.hand = undefined
    super.leave(loop)
  }

  override drop(): void {
    this.#dropped ??= detached(this.place)
    super.drop()
    for (const loop of this.loops) loop.again = undefined
  }
}
