/** The words of the state machine in `connector.ts`: its states, its inputs, its shell. */
import type {Connection} from './connection.js'
import type {OpenEvent, SseErrorEvent} from './options.js'
import type {ParsedEvent} from './parser.js'

export const CONNECTING = 0
export const OPEN = 1
export const CLOSED = 2
/** The states of an EventSource (WHATWG HTML 9.2.2). */
export type ReadyState = typeof CONNECTING | typeof OPEN | typeof CLOSED

/**
 * Now, in milliseconds of a clock that goes on while the machine sleeps (it must find its deadlines
 * past) and never back, and a random number in [0, 1).
 */
export interface Moment {
  readonly nowMs: number
  readonly random: number
}

/** Why there is no stream at the moment; `planned` is the server's goodbye. */
export type LostReason = 'eof' | 'error' | 'idle' | 'timeout' | 'bounce' | 'planned' | 'status'

/**
 * Endings that no repetition mends: an event over its bound, headers that no request can carry, a
 * `fetch` whose response cannot be read as it arrives.
 */
export type FatalEnding = 'oversized' | 'invalid_request' | 'unreadable'

/** How a connection ends. */
export type Ending = 'eof' | 'error' | FatalEnding

/** Why the client has given up, or has nothing more to do (`no_content`, `ended`). */
export type StopReason =
  | FatalEnding
  | 'no_content'
  | 'ended'
  | 'interrupted'
  | 'unauthorized'
  | 'refused'
  | 'not_a_stream'
  | 'exhausted'

/**
 * Carries out what the machine decides, and lends it the clock. `deliver` and `tell` may call the
 * machine again, from a listener: it is called last, or what follows looks whether it still holds.
 */
export interface Shell {
  /** As in {@link Moment}. */
  now(): number
  random(): number
  /** Whether there is a network; without one, failures never exhaust the attempts. */
  online(): boolean
  /**
   * Ask for the stream, and set the connection's `abort`. `renew` is the 401 or 403 to answer with
   * new credentials, or 0; `handover`: whether to tell the server that this client hands over.
   */
  open(held: Connection, renew: number, handover: boolean): void
  /** An event; `control` marks one of the server's own, which is no event of the application's. */
  deliver(event: ParsedEvent, control: boolean): void
  /** The stream is open, lost, or given up. */
  tell(change: OpenEvent | SseErrorEvent): void
}

/**
 * What may happen. What comes for a connection that is not held any more has no effect, and
 * nothing counts that a connection says after its goodbye.
 */
export interface Connector {
  readonly readyState: ReadyState
  /** The id to resume after. */
  lastEventId: string
  /** When `tick` is due next; `Infinity`: never. */
  deadlineMs(): number
  /** Start, unless started. */
  connect(): void
  /** End everything, from any state. */
  close(): void
  /** Response headers have come; `retryAfterMs` is 0 without the header. */
  responded(
    held: Connection,
    status: number,
    contentType: string | null,
    retryAfterMs: number
  ): void
  /**
   * An event has come. In a Tidegate stream the reserved names are the server's own words: those
   * that are understood are obeyed and delivered as such, the others go no further.
   */
  event(held: Connection, event: ParsedEvent): void
  /** A `retry:` line has come. */
  retry(held: Connection, retryMs: number): void
  /** The parser stands at this id, also where no event was dispatched. */
  position(held: Connection, lastEventId: string): void
  /** A connection has ended: cleanly, by an error, or by what no repetition mends. */
  ended(held: Connection, how: Ending, error?: unknown): void
  /** Time has passed: do what is due. */
  tick(): void
  /**
   * The network is back or the page is seen again: hurry, but not before the server's floor. A
   * client that has used up its attempts starts anew.
   */
  wake(): void
}
