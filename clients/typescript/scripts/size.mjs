// The budget of the entry point that connects, resumes, backs off and hands over: bundled,
// minified, gzipped. Below it stand its parts, each with its share by minified length.
import {gzipSync} from 'node:zlib'
import {build} from 'esbuild'

// The goal is 4,500 bytes. The state machine, the request, the parser and the queue of the loops
// are more than that by themselves, and each is something a client must do: it may not grow.
const BUDGET_BYTES = 5900
const entries = ['index', 'acknowledge', 'eventsource', 'shared']
const parts = {
  connector: 'when to open, keep, leave and repeat a stream: the scenarios of both clients',
  stream: 'fetch, credentials, the timer, reading, the reason at the end',
  client: 'listeners and loops side by side, the iterator, back-pressure',
  parser: 'the format, its bounds, bytes split anywhere',
  request: 'what cannot be sent is thrown at once; header names; ids as UTF-8',
  inbox: 'received, handed over: nothing skipped after `break`, slow loops, gaps',
  decisions: 'defaults, back-off, what a status and Retry-After mean',
  listeners: 'once, signal, errors and rejected promises of listeners',
  lifecycle: 'network, sleep and back/forward cache of a page',
  contract: 'the words of a Tidegate stream',
  clock: 'time that goes on in sleep and never back'
}

for (const entry of entries) {
  const {outputFiles, metafile} = await build({
    entryPoints: [`dist/${entry}.js`],
    bundle: true,
    minify: true,
    format: 'esm',
    metafile: true,
    write: false
  })
  const {contents} = outputFiles[0]
  const bytes = gzipSync(contents, {level: 9}).length
  console.log(`${entry}: ${bytes} bytes min+gzip`)
  if (entry !== 'index') continue
  const [{inputs}] = Object.values(metafile.outputs)
  const share = (part) => (inputs[`dist/${part}.js`].bytesInOutput / contents.length) * bytes
  for (const [part, behaviour] of Object.entries(parts)) {
    console.log(`  ${share(part).toFixed().padStart(5)} ${part}: ${behaviour}`)
  }
  if (bytes > BUDGET_BYTES) {
    console.error(`index is over its budget of ${BUDGET_BYTES} bytes`)
    process.exitCode = 1
  }
}
