/** One connection of the state machine: what is known of it, and how long it may last. */
import type {Settings} from './decisions.js'

export interface Connection {
  readonly conn: number
  /** Whether headers have come. */
  opened?: boolean
  /** When it was asked for, and once opened, when that was. */
  sinceMs: number
  /** When the last byte came. */
  activeMs: number
  pod?: unknown
  /** Whether it has carried an event: a goodbye before that is a bounce. */
  live?: boolean
  /** Whether `connected` was its first event: then reserved names are the server's own. */
  tidegate?: boolean
  /** From the goodbye on: when the server ends it at the latest. */
  leaveMs?: number
  /** Whether its handover has already led to the very same pod; it is tried once more. */
  ledNowhere?: boolean
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

/** When the old connection must go: at its deadline, or to make room for a next that waits. */
export function leaveByMs([old, next]: Connection[], {handoverPatienceMs}: Settings): number {
  return Math.min(old?.leaveMs ?? Infinity, next ? next.sinceMs + handoverPatienceMs : Infinity)
}
