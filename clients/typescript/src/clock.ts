/** The time that decisions are made by. */
import type {Moment} from './actions.js'

let aheadMs = 0

/**
 * Now, in milliseconds. A machine that slept must find its deadlines past, which only the wall
 * clock tells; but that one may be set back, and then time goes on as the other clock has it.
 */
export function now(): number {
  const runMs = Math.floor(performance.now())
  aheadMs = Math.max(aheadMs, Date.now() - runMs)
  return runMs + aheadMs
}

/** Now, and a random number. */
export function moment(): Moment {
  return {nowMs: now(), random: Math.random()}
}
