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

  readonly #decoder = textDecoder()
  /** In use from a chunk that ends inside a character until one that does not. */
  #split: TextDecoder | undefined
  readonly #maxLine: number
  readonly #maxEvent: number
  #partial = ''
  /** What the next chunk may begin with that means nothing. */
  #skip = '\uFEFF'
  #id: string
  #type = ''
  /** The first line of data; most events have no other. */
  #data: string | undefined
  #moreData: string[] = []
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
    const text = this.#decode(chunk)
    if (!text) return
    let at = text[0] === this.#skip ? 1 : 0
    this.#skip = text.at(-1) === '\r' ? '\n' : ''
    // Each is searched for again only when it has been passed. A search per line would scan a chunk
    // that lacks one of them once per line, which is quadratic.
    let lf = find(text, '\n', at)
    let cr = find(text, '\r', at)
    let colon = -1
    for (let end = Math.min(lf, cr); end < Infinity; end = Math.min(lf, cr)) {
      if (colon < at) colon = find(text, ':', at)
      const item = this.#partial
        ? this.#complete(text.slice(at, end))
        : this.#line(text, at, Math.min(colon, end), end)
      at = end + 1
      if (end === cr) {
        if (lf === at) at++
        cr = find(text, '\r', at)
      }
      if (lf < at) lf = find(text, '\n', at)
      if (item) yield item
    }
    this.#partial += text.slice(at)
    check(this.#partial.length, this.#maxLine)
  }

  /**
   * A chunk that ends inside a character needs a decoder that keeps state. Without state, Node
   * decodes several times faster, so such a decoder lives only until its character is complete.
   */
  #decode(chunk: Uint8Array): string {
    const complete = chunk[chunk.length - 1]! < 0x80
    if (complete && !this.#split) return this.#decoder.decode(chunk)
    const decoder = (this.#split ??= textDecoder())
    if (complete) this.#split = undefined
    return decoder.decode(chunk, {stream: !complete})
  }

  /** The end of a line that began in an earlier chunk. */
  #complete(end: string): Item | undefined {
    const line = this.#partial + end
    this.#partial = ''
    return this.#line(line, 0, Math.min(find(line, ':', 0), line.length), line.length)
  }

  /** One line, `text` from `start` to before `end`; `colon` is `end` where it has none. */
  #line(text: string, start: number, colon: number, end: number): Item | undefined {
    check(end - start, this.#maxLine)
    if (start === end) return this.#dispatch()
    // Exactly one leading space is removed; tabs and further spaces are data.
    const value = text.slice(colon + (text[colon + 1] === ' ' ? 2 : 1), end)
    switch (text.slice(start, colon)) {
      case 'data':
        check((this.#dataLength += value.length + 1), this.#maxEvent)
        if (this.#data === undefined) this.#data = value
        else this.#moreData.push(value)
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
    const lastEventId = (this.lastEventId = this.#id)
    const type = this.#type || 'message'
    const first = this.#data
    this.#type = ''
    if (first === undefined) return undefined
    const data = this.#moreData.length ? [first, ...this.#moreData].join('\n') : first
    this.#data = undefined
    this.#dataLength = 0
    if (data !== first) this.#moreData = []
    return {type, data, lastEventId}
  }
}

/** The BOM is ours to skip: Node 24 takes two for one where the first is split. */
function textDecoder(): TextDecoder {
  return new TextDecoder(undefined, {ignoreBOM: true})
}

function find(text: string, character: string, from: number): number {
  const at = text.indexOf(character, from)
  return at < 0 ? Infinity : at
}

function check(length: number, limit: number): void {
  if (length > limit) throw new OversizedError('too long')
}
