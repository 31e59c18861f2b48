/**
 * The words that this client and a Tidegate server agree on.
 *
 * The same words stand in the Python package `tidegate.contract`; a test compares the two, so that
 * neither can change alone.
 */

/** Opens every stream: who serves it, and how it will behave. */
export const CONNECTED = 'connected'
/** Stands where events can no longer be replayed. */
export const GAP = 'gap'
/** Moves a quiet stream's position on. */
export const CURSOR = 'cursor'
/** The goodbye: why, when to come back, and how long the stream still stays open. */
export const SHUTDOWN = 'shutdown'

/**
 * The names that no application may publish under. In a Tidegate stream (its first event is
 * `connected`) such an event is the server's own: a client acts on those it understands and hands
 * no other one to the application.
 */
export const RESERVED = [CONNECTED, CURSOR, GAP, SHUTDOWN, 'open', 'error']
/** What begins like this is reserved as well: for events that later servers may send. */
export const RESERVED_PREFIX = 'tidegate.'

/** Whether a name belongs to the server. */
export function isReserved(type: string): boolean {
  return RESERVED.includes(type) || type.startsWith(RESERVED_PREFIX)
}

/** Request header with the id to resume from (WHATWG HTML 9.2.4). */
export const HEADER_LAST_EVENT_ID = 'Last-Event-ID'
/** Query key by which a client says that it can hand over. */
export const QUERY_HANDOVER = 'handover'

/**
 * Read the data of one of these events. `undefined` where a duration is missing or none: then it
 * is some other application's event of the same name, and to be treated as such.
 */
export function readControl<Duration extends string>(
  data: string,
  ...durations: Duration[]
):
  | ({readonly pod?: unknown; readonly handover?: unknown; readonly reason?: unknown} & Readonly<
      Record<Duration, number>
    >)
  | undefined {
  try {
    const value = JSON.parse(data)
    return durations.every((key) => Number.isFinite(value[key]) && value[key] >= 0)
      ? value
      : undefined
  } catch {
    return undefined
  }
}
