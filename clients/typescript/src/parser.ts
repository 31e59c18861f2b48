/**
 * Incremental, bounded decoding of an event stream (WHATWG HTML 9.2.6).
 *
 * Bytes go in as they arrive, split anywhere; events, `retry:` changes and comments come out, in
 * order. A bare CR ends its line at once: waiting for the next byte, which may be an LF, would hold
 * back an event until the next one arrives.
 */

/** The longest delay a 32-bit timer takes; more would fire at once, a hot loop. */
export const MAX_RETRY_MS = 2 ** 31 - 1

/** One dispatched event. */
export interface ParsedEvent {
  /** Never empty; `message` where the server named none. */
  readonly type: string
  readonly data: string
  /** The last event id in force, also when an earlier event has set it. */
  readonly lastEventId: string
}

/** What a chunk completes: an event, a new `retry:` in milliseconds, or a comment. */
export type Item = ParsedEvent | {readonly retryMs: number} | {readonly comment: string}

/** The longest line and the most data of one event, where nothing else is said. */
export const BOUNDS = {maxLineLength: 1 << 20, maxEventLength: 1 << 22}

/** Bounds and starting point of a parser; lengths are in UTF-16 code units. */
export interface ParserOptions {
  /** The id that earlier connections left in force; empty by default. */
  readonly lastEventId?: string
  /** Longest line; default 1 Mi. */
  readonly maxLineLength?: number | undefined
  /** Most data of one event; default 4 Mi. */
  readonly maxEventLength?: number | undefined
}

/**
 * Takes the next bytes; `take` gets what they complete. Where it answers false, what follows in the
 * chunk has no effect. Returns the id to resume from, which is adopted at each blank line, even
 * where no event is dispatched. Throws a `RangeError` where a line or an event exceeds its
 * bound; is to be fed no more after either.
 */
export type Feed = (chunk: Uint8Array, take: (item: Item) => boolean) => string

/** The parser of one connection; each needs its own, as a BOM is skipped once. */
export function createParser({
  lastEventId = '',
  maxLineLength = BOUNDS.maxLineLength,
  maxEventLength = BOUNDS.maxEventLength
}: ParserOptions = {}): Feed {
  const decoder = textDecoder()
  /** In use from a chunk that ends inside a character until one that does not. */
  let split: TextDecoder | undefined
  let partial = ''
  /** What the next chunk may begin with that means nothing. */
  let skip = '\uFEFF'
  let id = lastEventId
  let type = ''
  let data: string | undefined

  /**
   * A chunk that ends inside a character needs a decoder that keeps state. Without state, Node
   * decodes several times faster, so such a decoder lives only until its character is complete.
   */
  const decode = (chunk: Uint8Array): string => {
    const stream = !(chunk[chunk.length - 1]! < 0x80)
    if (stream) split ??= textDecoder()
    const text = (split ?? decoder).decode(chunk, {stream})
    if (!stream) split = undefined
    return text
  }

  /** What a line completes. */
  const read = (line: string): Item | undefined => {
    if (!line) {
      lastEventId = id
      const event = data === undefined ? data : {type: type || 'message', data, lastEventId}
      type = ''
      data = undefined
      return event
    }
    const colon = line.indexOf(':')
    const end = colon < 0 ? line.length : colon
    const field = line.slice(0, end)
    // Exactly one leading space is removed; tabs and further spaces are data.
    const value = line.slice(end + (line[end + 1] === ' ' ? 2 : 1))
    if (field === 'data') {
      data = data === undefined ? value : `${data}\n${value}`
      check(data, maxEventLength - 1)
    } else if (field === 'id') {
      if (!value.includes('\0')) id = value
    } else if (field === 'event') type = value
    // Only ASCII digits: parseInt would take "5s", Number would take "1e9".
    else if (field === 'retry' && /^\d+$/.test(value)) {
      return {retryMs: Math.min(+value, MAX_RETRY_MS)}
    } else if (!field) return {comment: value}
    return undefined
  }

  return (chunk, take) => {
    let text = decode(chunk)
    if (text) {
      if (text[0] === skip) text = text.slice(1)
      skip = text.endsWith('\r') ? '\n' : ''
    }
    if (text.includes('\r')) text = text.replace(/\r\n?/g, '\n')
    const lines = text.split('\n')
    // Added and not searched again: a long line in small pieces costs no more than it is long.
    lines[0] = partial + lines[0]
    partial = lines.pop()!
    for (const line of lines) {
      check(line, maxLineLength)
      const item = read(line)
      if (item && !take(item)) return lastEventId
    }
    check(partial, maxLineLength)
    return lastEventId
  }
}

/** The BOM is ours to skip: Node 24 takes two for one where the first is split. */
function textDecoder(): TextDecoder {
  return new TextDecoder(undefined, {ignoreBOM: true})
}

function check({length}: string, limit: number): void {
  if (length > limit) throw new RangeError('too long')
}
