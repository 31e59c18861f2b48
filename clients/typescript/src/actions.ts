/** The words of the state machine in `connector.ts`: its states, its inputs' kinds, its actions. */
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
 * `open`: `renew` is the 401 or 403 to answer with new credentials, or 0; `handover` says whether
 * the server is to be told that this client hands over. `deliver`: `control` marks an event of the
 * server's own, which is no event of the application's. `stopped`: `last` is the loss that used up
 * the attempts.
 */
export type Action =
  | {do: 'open'; conn: number; lastEventId: string; renew: number; handover: boolean}
  | {do: 'abort'; conn: number}
  | {do: 'opened'}
  | {do: 'deliver'; event: ParsedEvent; control: boolean}
  | {do: 'lost'; reason: LostReason; delayMs: number; attempt: number; status: number}
  | {
      do: 'stopped'
      reason: StopReason
      delayMs: number
      attempt: number
      status: number
      last?: LostReason | undefined
    }
