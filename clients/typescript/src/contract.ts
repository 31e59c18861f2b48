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
): ({readonly pod?: unknown} & Readonly<Record<Duration, number>>) | undefined {
  try {
    const value = JSON.parse(data)
    return durations.every((key) => Number.isFinite(value[key]) && value[key] >= 0)
      ? value
      : undefined
  } catch {
    return undefined
  }
}
