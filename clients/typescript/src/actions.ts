/** The words of the state machine in `connector.ts`: its states, its inputs' kinds, its actions. */
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
 * What the shell has to do.
 *
 * `open`: ask for the stream; `renew` is the 401 or 403 to answer with new credentials, or 0;
 * `handover` says whether the server is to be told that this client hands over. `deliver`:
 * `control` marks an event of the server's own, which is no event of the application's. `tell`:
 * the stream is open, lost, or given up, and then `last` is the loss that used up the attempts.
 */
export type Action =
  | {do: 'open'; held: Connection; renew: number; handover: boolean}
  | {do: 'abort'; held: Connection}
  | {do: 'deliver'; event: ParsedEvent; control: boolean}
  | {do: 'tell'; change: OpenEvent | SseErrorEvent; last?: LostReason | undefined}

/**
 * What may happen. What comes for a connection that is not held any more has no effect, and
 * nothing counts that a connection says after its goodbye.
 */
export interface Inputs {
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
  /** A `retry:` line has come. */
  retry(held: Connection, retryMs: number): void
  /** The parser stands at this id, also where no event was dispatched. */
  position(held: Connection, lastEventId: string): void
  /** A connection has ended: cleanly, by an error, or by what no repetition mends. */
  ended(held: Connection, how: Ending): void
  /** Time has passed: do what is due. */
  tick(): void
  /**
   * The network is back or the page is seen again: hurry, but not before the server's floor. A
   * client that has used up its attempts starts anew.
   */
  wake(): void
}

export interface Connector {
  readonly readyState: ReadyState
  lastEventId: string
  /** Without a network, failures never exhaust the attempts. */
  online: boolean
  /** What is to be done about an input. */
  step<Input extends keyof Inputs>(
    at: Moment,
    input: Input,
    ...facts: Parameters<Inputs[Input]>
  ): Action[]
  /**
   * An event has come. In a Tidegate stream the reserved names are the server's own words: those
   * that are understood are obeyed and delivered as such, the others go no further. Nothing is
   * returned where it is only to be delivered to the application: this is the one input that has to
   * be fast.
   */
  event(at: Moment, held: Connection, event: ParsedEvent): Action[] | undefined
  /** When `tick` is due next; `Infinity`: never. */
  deadlineMs(): number
}
