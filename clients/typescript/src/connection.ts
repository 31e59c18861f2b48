/** One connection of the state machine: what is known of it, and how long it may last. */
import type {Settings} from './decisions.js'

export interface Connection {
  /** When it was asked for, and once opened, when that was. */
  sinceMs: number
  /** When the last byte came. */
  activeMs: number
  /** What is asked for again when it breaks; see {@link Settings}. */
  repeat: Settings['repeat']
  /** Whether headers have come. */
  opened?: boolean
  pod?: unknown
  /** Whether it has carried an event: a goodbye before that is a bounce. */
  live?: boolean
  /** Whether `connected` was its first event: then reserved names are the server's own. */
  tidegate?: boolean
  /** From the goodbye on: when the server ends it at the latest. */
  leaveMs?: number
  /** Whether its handover has already led to the very same pod; it is tried once more. */
  ledNowhere?: boolean
  /** Whether it is held no more. */
  gone?: boolean
  /** The shell's: ends its request. */
  abort?: () => void
}

/** When it is given up for its silence; a leaving one is quiet, and never is. */
export function expiryMs(
  {opened, activeMs, sinceMs, leaveMs}: Connection,
  heartbeatMs: number,
  {idleTimeoutMs, connectTimeoutMs}: Settings
): number {
  if (leaveMs) return Infinity
  return opened
    ? activeMs + (idleTimeoutMs || 3 * heartbeatMs || Infinity)
    : sinceMs + connectTimeoutMs
}

/** When the old one must go: at its deadline, or to make room for a next that waits. */
export function leaveAtMs([old, next]: Connection[], {handoverPatienceMs}: Settings): number {
  const patienceMs = next ? next.sinceMs + handoverPatienceMs : Infinity
  return Math.min(old?.leaveMs ?? Infinity, patienceMs)
}

/** When something is to be done about one of them, if nothing comes. */
export function dueMs(conns: Connection[], heartbeatMs: number, settings: Settings): number {
  const expiries = conns.map((held) => expiryMs(held, heartbeatMs, settings))
  return Math.min(leaveAtMs(conns, settings), ...expiries)
}

/** Whether it has been open for long enough to forget the attempts before it. */
export function isStable(
  {opened, sinceMs}: Connection,
  nowMs: number,
  {stableMs}: Settings
): boolean {
  return !!opened && nowMs - sinceMs >= stableMs
}
