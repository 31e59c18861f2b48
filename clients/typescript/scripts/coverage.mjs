// Every branch of the parser and of what decides is taken by some test. Node 20 measures coverage
// but knows no threshold, so its lcov report is read here.
import {spawnSync} from 'node:child_process'
import {readdirSync} from 'node:fs'

const COMPLETE = ['ack-pacer.js', 'contract.js', 'connector.js', 'decisions.js', 'parser.js']
// Most of a test is waiting, so that more of them run at a time than there are processors.
const waiting = '--test-concurrency=4'
const flags = ['--test', waiting, '--experimental-test-coverage', '--test-reporter=lcov']
// Node 24 runs no directory, and Node 20 no pattern.
const tests = readdirSync('build').filter((name) => name.endsWith('.test.js'))
const files = tests.map((name) => `build/${name}`)
const {stdout, stderr, status} = spawnSync(process.execPath, [...flags, ...files], {
  encoding: 'utf8',
  maxBuffer: 1 << 28
})
if (status !== 0) {
  console.error(stdout, stderr)
  process.exit(1)
}
for (const record of stdout.split('end_of_record')) {
  const file = /SF:.*dist[/\\](.+)/.exec(record)?.[1]
  if (!file) continue
  const [branches, taken] = ['BRF', 'BRH'].map((key) =>
    Number(new RegExp(`^${key}:(\\d+)`, 'm').exec(record)?.[1])
  )
  const missed = [...record.matchAll(/^BRDA:(\d+),\d+,\d+,0$/gm)].map((match) => match[1])
  console.log(
    `${file}: ${taken} of ${branches} branches${missed.length ? `, not line ${missed}` : ''}`
  )
  if (COMPLETE.includes(file) && taken !== branches) process.exitCode = 1
}
