// Decodes event streams for the fuzz test: one JSON list of base64 chunks per line in, one JSON
// list of items and the last event id per line out.
import {createInterface} from 'node:readline'
import {createParser} from '../dist/parser.js'

for await (const line of createInterface({input: process.stdin})) {
  const feed = createParser()
  const items = []
  let lastEventId = ''
  for (const chunk of JSON.parse(line)) {
    lastEventId = feed(Buffer.from(chunk, 'base64'), (item) => items.push(item) > 0)
  }
  console.log(JSON.stringify({items, lastEventId}))
}
