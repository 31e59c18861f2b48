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

/** Bounds and starting point of a {@link Parser}; lengths are in UTF-16 code units. */
export interface ParserOptions {
  /** The id that earlier connections left in force; empty by default. */
  readonly lastEventId?: string
  /** Longest line; default 1 Mi. */
  readonly maxLineLength?: number
  /** Most data of one event; default 4 Mi. */
  readonly maxEventLength?: number
}

/** Thrown by {@link Parser.feed} when a line or an event exceeds its bound. */
export class OversizedError extends RangeError {}

/** Decodes the stream of one connection; make a new one for each, the BOM is stripped once. */
export class Parser {
  /** The id to resume from: adopted at each blank line, even where no event is dispatched. */
  lastEventId: string

  // The BOM is ours to skip: Node 24 takes two for one where the first is split.
  readonly #decoder = new TextDecoder(undefined, {ignoreBOM: true})
  readonly #maxLine: number
  readonly #maxEvent: number
  #partial = ''
  /** What the next chunk may begin with that means nothing. */
  #skip = '\uFEFF'
  #id: string
  #type = ''
  #data: string[] = []
  #dataLength = 0

  constructor(options: ParserOptions = {}) {
    this.lastEventId = this.#id = options.lastEventId ?? ''
    this.#maxLine = options.maxLineLength ?? 1 << 20
    this.#maxEvent = options.maxEventLength ?? 1 << 22
  }

  /**
   * Take the next bytes; yields what they complete. Lazy: a consumer that stops in the middle has
   * not adopted what it has not seen. Throws {@link OversizedError}; feed it no more after that.
   */
  *feed(chunk: Uint8Array): Generator<Item, void, undefined> {
    const text = this.#decoder.decode(chunk, {stream: true})
    if (!text) return
    let at = +(text[0] === this.#skip)
    this.#skip = text.at(-1) === '\r' ? '\n' : ''
    const breaks = /\r\n?|\n/g
    breaks.lastIndex = at
    for (let found; (found = breaks.exec(text)); ) {
      const line = this.#partial + text.slice(at, found.index)
      this.#partial = ''
      at = breaks.lastIndex
      this.#check(line.length, this.#maxLine)
      const item = line ? this.#field(line) : this.#dispatch()
      if (item) yield item
    }
    this.#partial += text.slice(at)
    this.#check(this.#partial.length, this.#maxLine)
  }

  #field(line: string): Item | undefined {
    // Exactly one leading space is removed; tabs and further spaces are data.
    const [, name, value] = /([^:]*):? ?(.*)/s.exec(line) as unknown as [string, string, string]
    switch (name) {
      case 'data':
        this.#check((this.#dataLength += value.length + 1), this.#maxEvent)
        this.#data.push(value)
        break
      case 'event':
        this.#type = value
        break
      case 'id':
        if (!value.includes('\0')) this.#id = value
        break
      case 'retry':
        // Only ASCII digits: parseInt would take "5s", Number would take "1e9".
        if (/^\d+$/.test(value)) return {retryMs: Math.min(+value, MAX_RETRY_MS)}
        break
      case '':
        return {comment: value}
    }
    return undefined
  }

  #dispatch(): Item | undefined {
    this.lastEventId = this.#id
    const type = this.#type || 'message'
    const data = this.#data
    this.#type = ''
    this.#data = []
    this.#dataLength = 0
    return data.length ? {type, data: data.join('\n'), lastEventId: this.#id} : undefined
  }

  #check(length: number, limit: number): void {
    if (length > limit) throw new OversizedError('too long')
  }
}
