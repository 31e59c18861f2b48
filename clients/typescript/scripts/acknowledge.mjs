// One life of an acknowledging client, for tests: `node acknowledge.mjs URL LAST` says each event as
// a JSON line and leaves at the one with the data LAST, without finishing it.
import {AcknowledgingSseClient} from '../dist/acknowledge.js'

const [url, last] = process.argv.slice(2)
for await (const {data} of new AcknowledgingSseClient(url, {initialDelayMs: 100})) {
  console.log(JSON.stringify({data}))
  if (data === last) break
}
