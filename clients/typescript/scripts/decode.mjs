// Decodes event streams for the fuzz test: one JSON list of base64 chunks per line in, one JSON
// list of items and the last event id per line out.
import {createInterface} from 'node:readline'
import {Parser} from '../dist/parser.js'

for await (const line of createInterface({input: process.stdin})) {
  const parser = new Parser()
  const items = []
  for (const chunk of JSON.parse(line)) {
    for (const item of parser.feed(Buffer.from(chunk, 'base64'))) items.push(item)
  }
  console.log(JSON.stringify({items, lastEventId: parser.lastEventId}))
}
