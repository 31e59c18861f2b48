// Follows streams for tests: `node follow.mjs URL…`, one JSON line per happening to standard output,
// until standard input ends.
import {SseClient} from '../dist/index.js'

const say = (client, what) => console.log(JSON.stringify({client, ...what}))
const followed = process.argv.slice(2).map((url, client) => {
  const sse = new SseClient(url, {initialDelayMs: 100, handover: true})
  for (const type of ['open', 'error', 'message', 'connected', 'gap', 'shutdown']) {
    sse.addEventListener(type, (event) => say(client, {...event, type, error: undefined}))
  }
  sse.connect()
  return sse
})

process.stdin.resume()
process.stdin.on('end', () => {
  for (const sse of followed) sse.close()
})
