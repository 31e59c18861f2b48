/**
 * Single decisions, each a pure function: how long to wait, what a status means.
 *
 * The same functions exist in the Python client; both run the vectors in `tests/vectors/client`.
 */

/** How a client backs off and hands over. Durations are in milliseconds. */
export interface Settings {
  /** First back-off, and the width of the jitter on a first unplanned retry. */
  readonly initialDelayMs: number
  /** Growth of the back-off from one attempt to the next. */
  readonly factor: number
  /** Cap of the back-off, before jitter. */
  readonly maxDelayMs: number
  /** Share of the delay that is added at random; never subtracted. */
  readonly jitter: number
  /** Unplanned attempts in a row before giving up; `Infinity`: never. */
  readonly maxAttempts: number
  /** How long a stream must have been open for the attempts to start anew. */
  readonly stableMs: number
  /** The most that a server's `retry:`, `Retry-After` or goodbye may ask for. */
  readonly maxInstructedMs: number
  /** How long to wait for response headers. */
  readonly connectTimeoutMs: number
  /** Silence after which a stream is dead; 0: three announced heartbeats. */
  readonly idleTimeoutMs: number
  /**
   * Whether to open the next stream before the old one ends: `true` says so to the server from the
   * first request on (`?handover=1`), `auto` once its `connected` has asked for it.
   */
  readonly handover: boolean | 'auto'
  /** How long the next stream may take before the old one is let go to make room for it. */
  readonly handoverPatienceMs: number
  /** Whether new credentials can be had after a 401 or 403. */
  readonly renewable: boolean
  /**
   * What is asked for again: `always`, a lost stream of any kind; `broken`, one that did not end
   * cleanly; `unanswered`, only one whose response had not begun, as it might be done twice.
   */
  readonly repeat: 'always' | 'broken' | 'unanswered'
}

/** What is used where the caller says nothing. */
export const DEFAULTS: Settings = {
  initialDelayMs: 1000,
  factor: 2,
  maxDelayMs: 30_000,
  jitter: 0.2,
  maxAttempts: 10,
  stableMs: 10_000,
  maxInstructedMs: 300_000,
  connectTimeoutMs: 15_000,
  idleTimeoutMs: 0,
  handover: 'auto',
  handoverPatienceMs: 2000,
  renewable: false,
  repeat: 'always'
}

/**
 * Milliseconds before the `attempt`-th unplanned retry (1 is the first); `random` is in [0, 1).
 * `floorMs` is the least that the server has asked for, `assigned` whether it has spread its
 * clients itself.
 *
 * The first comes back over a width of its own, because a fleet that lost its server would
 * otherwise return as one wave; where the server has spread its clients already, more jitter would
 * only add peaks. Later ones back off. A server's floor is never undercut: jitter is only added.
 */
export function retryDelayMs(
  attempt: number,
  floorMs: number,
  assigned: boolean,
  random: number,
  settings: Settings
): number {
  const {initialDelayMs, factor, maxDelayMs, jitter} = settings
  if (attempt <= 1) return Math.round(floorMs + (assigned ? 0 : random * initialDelayMs))
  const backoffMs = Math.min(maxDelayMs, initialDelayMs * factor ** (attempt - 1))
  return Math.round(Math.max(backoffMs, floorMs) * (1 + jitter * random))
}

/** What a response means: `stop` for good, `renew` the credentials, `retry` later, or a stream. */
export type Verdict = 'stream' | 'no_content' | 'renew' | 'retry' | 'refused' | 'not_a_stream'

/**
 * Judge a response. 204 means stop (WHATWG HTML 9.2.3); a 4xx is the caller's mistake, which no
 * repetition mends, but for 408, 425 and 429, which ask for it; 5xx passes.
 */
export function judge(status: number, contentType: string | null): Verdict {
  if (status === 200) {
    return /^\s*text\/event-stream\s*(;|$)/i.test(contentType!) ? 'stream' : 'not_a_stream'
  }
  if (status === 204) return 'no_content'
  if (/^40[13]$/.test(`${status}`)) return 'renew'
  if (status >= 500 || /^4(08|25|29)$/.test(`${status}`)) return 'retry'
  return status >= 400 ? 'refused' : 'not_a_stream'
}

/** `Retry-After` (RFC 9110, 10.2.3: seconds or a date) in milliseconds from `nowMs`; else 0. */
export function retryAfterMs(header: string | null, nowMs: number): number {
  if (/^\d+$/.test(header!)) return +header! * 1000
  // Without the zone that the RFC demands, Date.parse would guess: "-1" is a day in 2001.
  return /GMT$/.test(header!) ? Math.max(0, Date.parse(header!) - nowMs) || 0 : 0
}
