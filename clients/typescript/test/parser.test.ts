/** The parser reads the shared wire vectors, however the bytes are split, within its bounds. */
import assert from 'node:assert/strict'
import {test} from 'node:test'
import {createParser, type Feed, type Item} from '../dist/parser.js'
import {readVectors} from './vectors.js'

interface Encoded {
  name: string
  given: {data: string; event?: string; id?: string; retry_ms?: number}
  text: string
}

interface Vector {
  name: string
  chunks: (string | {base64: string})[]
  expect: object[]
  last_event_id?: string
}

function bytes(chunk: string | {base64: string}): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.base64, 'base64')
}

function described(item: Item): object {
  if ('type' in item) return {event: item.type, data: item.data, id: item.lastEventId}
  return 'retryMs' in item ? {retry_ms: item.retryMs} : item
}

function items(feed: Feed, chunk: Uint8Array): Item[] {
  const taken: Item[] = []
  feed(chunk, (item) => taken.push(item) > 0)
  return taken
}

function decode(feed: Feed, chunks: Buffer[]): object[] {
  return chunks.flatMap((chunk) => items(feed, chunk)).map(described)
}

/** The id to resume from, which each chunk tells. */
function resumeId(feed: Feed): string {
  return feed(Buffer.of(), () => true)
}

for (const vector of readVectors<Vector[]>('wire/decode.json')) {
  test(vector.name, () => {
    const chunks = vector.chunks.map(bytes)
    const parser = createParser()
    assert.deepEqual(decode(parser, chunks), vector.expect)
    if (vector.last_event_id !== undefined) {
      assert.equal(resumeId(parser), vector.last_event_id)
    }
    const whole = Buffer.concat(chunks)
    for (let at = 0; at <= whole.length; at++) {
      const parts = [whole.subarray(0, at), whole.subarray(at)]
      assert.deepEqual(decode(createParser(), parts), vector.expect, `split at ${at}`)
    }
  })
}

for (const {name, given, text} of readVectors<Encoded[]>('wire/encode.json')) {
  test(`what a server encodes is read as it was given: ${name}`, () => {
    const {data, event, id, retry_ms} = given
    // Line ends are all the same on the wire (WHATWG HTML 9.2.6).
    const read = {event: event || 'message', data: data.replace(/\r\n?/g, '\n'), id: id ?? ''}
    const expected = retry_ms === undefined ? [read] : [{retry_ms}, read]
    assert.deepEqual(decode(createParser(), [Buffer.from(text)]), expected)
  })
}

test('the id of earlier connections stays in force', () => {
  const parser = createParser({lastEventId: 'e-7'})
  assert.deepEqual(decode(parser, [Buffer.from('data: x\n\n')]), [
    {event: 'message', data: 'x', id: 'e-7'}
  ])
})

test('an id takes effect at the blank line and not before', () => {
  const parser = createParser({lastEventId: 'e-7'})
  decode(parser, [Buffer.from('id: e-8\ndata: x\n')])
  assert.equal(resumeId(parser), 'e-7')
})

test('what follows in a chunk has no effect once it is not wanted any more', () => {
  const parser = createParser()
  assert.equal(
    parser(Buffer.from('id: 1\ndata: x\n\nid: 2\ndata: y\n\n'), () => false),
    '1'
  )
})

test('a line over its bound, complete or not, and data over its bound', () => {
  const line = () => createParser({maxLineLength: 8})
  assert.throws(() => decode(line(), [Buffer.from('data: 123\n')]), RangeError)
  assert.throws(() => decode(line(), [Buffer.from('data:'), Buffer.from(' 123')]), RangeError)
  assert.equal(decode(line(), [Buffer.from('data: 12\n\n')]).length, 1)
  const event = createParser({maxEventLength: 4})
  assert.throws(() => decode(event, [Buffer.from('data: 12\ndata: 3\n')]), RangeError)
})

test('a line of ten million bytes in small chunks takes linear time', () => {
  const parser = createParser({maxLineLength: Infinity, maxEventLength: Infinity})
  const chunk = Buffer.alloc(1000, 'x')
  decode(parser, [Buffer.from('data: ')])
  const startedMs = performance.now()
  for (let n = 0; n < 10_000; n++) decode(parser, [chunk])
  const [event] = items(parser, Buffer.from('\n\n'))
  assert.equal((event as {data: string}).data.length, 10_000_000)
  assert.ok(performance.now() - startedMs < 5000)
})

for (const [name, line] of [
  ['without a colon', 'x\n'],
  ['that end in CR', 'data: x\r'],
  ['of comments', ':\r\n']
] as const) {
  test(`a chunk of lines ${name} takes time in proportion to its length`, () => {
    const leastCpuUs = (lines: number) => {
      const chunk = Buffer.from(line.repeat(lines))
      const measured = Array.from({length: 7}, () => {
        const before = process.cpuUsage()
        items(createParser(), chunk)
        const {user, system} = process.cpuUsage(before)
        return user + system
      })
      return Math.min(...measured)
    }
    leastCpuUs(10_000)
    // Eight times as many: eight times as long, or 64 times where each line searches the rest.
    assert.ok(leastCpuUs(160_000) < 32 * leastCpuUs(20_000))
  })
}

test('characters of any length are whole wherever a chunk ends, and whatever follows', () => {
  const whole = Buffer.from('data: é€😀\n\ndata: é\n\ndata: x\n\n')
  const expected = ['é€😀', 'é', 'x']
  for (let at = 0; at <= whole.length; at++) {
    for (let next = at; next <= whole.length; next++) {
      const parts = [whole.subarray(0, at), whole.subarray(at, next), whole.subarray(next)]
      const read = decode(createParser(), parts).map((item) => (item as {data: string}).data)
      assert.deepEqual(read, expected, `split at ${at} and ${next}`)
    }
  }
})
