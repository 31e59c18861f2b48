/**
 * When to send which acknowledgement: pure, so that both languages decide the same.
 *
 * Only the newest id counts, so a client sends at most one per `everyMs`, and one at a time. The
 * first after a rest waits a random part of that: an event for everybody would otherwise be
 * acknowledged by everybody at once. What fails is tried again like a lost stream, newest id first.
 */
import type {Moment} from './actions.js'
import {judge, retryDelayMs, type Settings} from './decisions.js'

/** What a restart without a cursor may repeat at most, against one request per client and time. */
export const ACKNOWLEDGE_EVERY_MS = 5000

/** What an answer means; `late`: something newer has been sent meanwhile. */
export type AckVerdict = 'kept' | 'retry' | 'refused' | 'late'

/** The acknowledgements of one stream. Runs the scenarios in `tests/vectors/client`. */
export class AckPacer {
  /** The newest id that has not been sent. */
  waiting = ''
  /** The id whose answer is awaited. */
  sending = ''
  /** The last id that the server has kept. */
  kept = ''

  readonly #everyMs: number
  readonly #settings: Settings
  #dueMs = Infinity
  #sentMs = -Infinity
  #attempt = 0

  constructor(everyMs: number, settings: Settings) {
    this.#everyMs = everyMs
    this.#settings = settings
  }

  /** When `tick` has something to do. */
  deadlineMs(): number {
    return this.#dueMs
  }

  /** The application is done with everything up to `id`. */
  acknowledge(id: string, {nowMs, random}: Moment): void {
    if (!id || id === (this.waiting || this.sending || this.kept)) return
    this.waiting = id
    if (this.#dueMs < Infinity || this.sending) return
    const soonMs = nowMs + Math.round(random * this.#everyMs)
    this.#dueMs = Math.max(soonMs, this.#sentMs + this.#everyMs)
  }

  /** Time has passed: the id to send now, or nothing. */
  tick(at: Moment): string {
    return at.nowMs >= this.#dueMs ? this.flush(at) : ''
  }

  /** The client is about to go: the id to send now, or nothing. */
  flush({nowMs}: Moment): string {
    const id = this.waiting
    this.waiting = ''
    this.#dueMs = Infinity
    if (id) {
      this.sending = id
      this.#sentMs = nowMs
    }
    return id
  }

  /** The server has answered with `status`; 0: it has not. */
  answered(id: string, status: number, retryAfterMs: number, {nowMs, random}: Moment): AckVerdict {
    if (id !== this.sending) return 'late'
    this.sending = ''
    const settings = this.#settings
    const verdict = judgeAnswer(status, settings.renewable)
    if (verdict === 'retry') {
      this.#attempt++
      this.waiting ||= id
      const floorMs = Math.min(retryAfterMs, settings.maxInstructedMs)
      this.#dueMs = nowMs + retryDelayMs(this.#attempt, floorMs, false, random, settings)
      return verdict
    }
    this.#attempt = 0
    if (verdict === 'kept') this.kept = id
    if (this.waiting) this.#dueMs = Math.max(nowMs, this.#sentMs + this.#everyMs)
    return verdict
  }
}

/** Any 2xx is an acknowledgement kept; what a repetition can mend is repeated. */
function judgeAnswer(status: number, renewable: boolean): AckVerdict {
  if (status >= 200 && status < 300) return 'kept'
  const verdict = judge(status, '')
  const passes = !status || verdict === 'retry' || (verdict === 'renew' && renewable)
  return passes ? 'retry' : 'refused'
}
