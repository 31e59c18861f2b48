/** An inbox that knows what is handled: an event counts when its loop asks for the next one. */
import {isAfter} from './ids.js'
import {Inbox, type Loop, least, type Place} from './inbox.js'
import type {ParsedEvent} from './parser.js'

export class HandlingInbox extends Inbox {
  /** Where the client stood before the last event came. */
  before = this.received

  /** Handled by every loop. */
  get handled(): Place {
    const loops = [...this.loops]
    return least(loops.map(({hand, again, at}) => (hand ?? again)?.before ?? at)) ?? this.received
  }

  /** All up to `id` is handled, whether a loop has asked for the next one or not. */
  finish(id: string): void {
    for (const loop of this.loops) {
      if (loop.hand && !isAfter(loop.hand.event.lastEventId, id)) loop.hand = undefined
    }
  }

  override receive(id: string, event?: ParsedEvent): void {
    this.before = this.received
    super.receive(id, event)
  }

  override take(loop: Loop): ParsedEvent | undefined {
    const before = loop.at
    loop.hand = loop.again
    loop.again = undefined
    if (loop.hand) return loop.hand.event
    const event = super.take(loop)
    if (event) loop.hand = {event, before}
    return event
  }

  override leave(loop: Loop): void {
    loop.again = loop.hand
    loop.hand = undefined
    super.leave(loop)
  }

  override drop(): void {
    super.drop()
    for (const loop of this.loops) loop.again = undefined
  }
}
