// The budget of the entry point that connects, resumes, backs off and hands over: bundled,
// minified, gzipped.
import {gzipSync} from 'node:zlib'
import {build} from 'esbuild'

// The goal is 4,500 bytes. The state machine, `fetch` and its request, the parser, and what loops
// take from make up the rest, and all of them are what a client must do; it may not grow.
const BUDGET_BYTES = 6300
const entries = ['index', 'acknowledge', 'eventsource', 'shared']

for (const entry of entries) {
  const {outputFiles} = await build({
    entryPoints: [`dist/${entry}.js`],
    bundle: true,
    minify: true,
    format: 'esm',
    write: false
  })
  const bytes = gzipSync(outputFiles[0].contents, {level: 9}).length
  console.log(`${entry}: ${bytes} bytes min+gzip`)
  if (entry === 'index' && bytes > BUDGET_BYTES) {
    console.error(`index is over its budget of ${BUDGET_BYTES} bytes`)
    process.exitCode = 1
  }
}
