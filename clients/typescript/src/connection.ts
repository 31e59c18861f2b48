/** One connection of the state machine: what is known of it. */
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
