// A crowd of clients for a measured rollout: follows commands, one JSON object per line on standard
// input, and says what it sees in one per line on standard output, as the lab's own load process
// does. Every connection goes straight to a pod that the front door's rules choose, as kube-proxy
// has it. What comes over the wire is counted before the client's parser sees it, and what the
// application is given is counted beside it.
import {createInterface} from 'node:readline'
import {SseClient} from '../dist/index.js'

const CONTROLS = ['connected', 'gap', 'cursor', 'shutdown']
const PROGRESS_EVERY_MS = 250

/** CLOCK_MONOTONIC in seconds, which is what Python's time.monotonic() reads. */
const clock = () => Number(process.hrtime.bigint()) / 1e9
const say = (event, fields) => console.log(JSON.stringify({event, ...fields}))

let endpoints = []
const tally = {
  attempts: 0,
  bounced: 0,
  cut_without_goodbye: 0,
  failed_connects: 0,
  non_200: 0,
  clients_dead: 0,
  gaps: 0,
  foreign_events: 0,
  told_lost: 0,
  arrivals_s: [],
  offline_s: [],
  changes: [],
  late_s: 0
}
const streams = {}
let received = 0
let stirredS = 0

/** A stream was established (1) or has ended (-1) on a pod. */
function changed(pod, delta) {
  stirredS = clock()
  streams[pod] = (streams[pod] ?? 0) + delta
  tally.changes.push([stirredS, pod, delta])
}

/** One response as it comes over the wire, read without the client's parser. */
class Wire {
  #text = ''
  #decoder = new TextDecoder()
  #connected = false
  #goodbye = false
  #ended = false

  constructor(person, pod) {
    this.person = person
    this.pod = pod
  }

  take(bytes) {
    const blocks = (this.#text + this.#decoder.decode(bytes, {stream: true})).split('\n\n')
    this.#text = blocks.pop()
    for (const block of blocks) {
      const fields = {}
      for (const line of block.split('\n')) {
        const colon = line.indexOf(':')
        if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart()
      }
      if ('data' in fields) this.#event(fields.event, fields.id)
    }
  }

  #event(type, id) {
    if (type === 'connected') this.#opens(id)
    else if (type === 'shutdown') this.#leaves()
    else if (type === 'gap') tally.gaps++
    else if (!CONTROLS.includes(type)) this.person.raw(id)
  }

  #opens(id) {
    this.#connected = true
    changed(this.pod, 1)
    this.person.opens(this, id)
  }

  #leaves() {
    this.#goodbye = true
    if (this.#connected) this.person.slots.push([clock()])
    else tally.bounced++
  }

  /** The end, whoever has brought it about; `abandoned` where it was the client. */
  end(abandoned) {
    if (this.#ended) return
    this.#ended = true
    if (this.#connected) {
      changed(this.pod, -1)
      this.person.ends(this)
    }
    if (!abandoned && !this.#goodbye) {
      tally[this.#connected ? 'cut_without_goodbye' : 'failed_connects']++
    }
  }
}

/** A client, what came over its wires and what its application was given. */
class Person {
  open = new Set()
  moves = 0
  first = -1
  epoch = ''
  seqs = []
  atS = []
  app = []
  /** The moment of each goodbye, and the first event after it with its own moment. */
  slots = []
  #emptyS = 0

  constructor({name, path}, {handover, resume}) {
    this.name = name
    this.resume = resume
    const fetch = (url, init) => this.#fetch(new URL(url), init)
    this.client = new SseClient(`http://service${path}`, {handover, fetch})
    this.client.addEventListener('message', ({lastEventId}) => this.app.push(seqOf(lastEventId)))
    this.client.addEventListener('error', ({willRetry}) => {
      tally.told_lost++
      if (!willRetry) tally.clients_dead++
    })
  }

  async #fetch(url, init) {
    if (this.first >= 0) tally.attempts++
    try {
      if (!endpoints.length) throw new TypeError('no endpoint')
      const {pod, host, port} = endpoints[Math.floor(Math.random() * endpoints.length)]
      const headers = {...init.headers}
      if (!this.resume) delete headers['last-event-id']
      const to = `http://${host}:${port}${url.pathname}${url.search}`
      const response = await fetch(to, {...init, headers})
      return this.#tapped(response, new Wire(this, pod), init.signal)
    } catch (error) {
      if (!init.signal.aborted) tally.failed_connects++
      throw error
    }
  }

  /** The response with an ear at its reader: what is read has been counted. */
  #tapped({status, headers, body}, wire, signal) {
    if (status !== 200) tally.non_200++
    const reader = body.getReader()
    signal.addEventListener('abort', () => wire.end(true), {once: true})
    const read = async () => {
      try {
        const {value, done} = await reader.read()
        if (value) wire.take(value)
        if (done) wire.end(false)
        return {value, done}
      } catch (error) {
        wire.end(signal.aborted)
        throw error
      }
    }
    return {status, headers, body: {getReader: () => ({read})}}
  }

  raw(id) {
    const nowS = clock()
    const seq = seqOf(id)
    received++
    if (!id.startsWith(`${this.epoch}-`)) return tally.foreign_events++
    this.seqs.push(seq)
    this.atS.push(nowS)
    const slot = this.slots.at(-1)
    if (slot?.length === 1) slot.push(seq, nowS)
  }

  opens(wire, id) {
    if (this.first < 0) {
      this.first = seqOf(id)
      this.epoch = id.slice(0, id.lastIndexOf('-'))
    } else {
      this.moves++
      const nowS = clock()
      tally.arrivals_s.push(nowS)
      tally.offline_s.push(this.open.size ? 0 : nowS - this.#emptyS)
    }
    this.open.add(wire)
  }

  ends(wire) {
    this.open.delete(wire)
    if (!this.open.size) this.#emptyS = clock()
  }

  told() {
    const {name, moves, first, seqs, app, slots} = this
    return {name, moves, first, seqs, at_s: this.atS, app, slots: slots.filter((s) => s[1])}
  }
}

function seqOf(id) {
  return Number(id.slice(id.lastIndexOf('-') + 1))
}

/** Open every client's first stream at this rate, in order. */
async function connect(people, perS) {
  const startS = clock()
  for (const [index, {client}] of people.entries()) {
    const waitMs = (startS + index / perS - clock()) * 1000
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
    client.connect()
  }
}

/** Count moves from now on. */
function mark(people) {
  for (const person of people) {
    person.moves = 0
    person.slots = []
  }
  tally.attempts = tally.told_lost = tally.late_s = 0
  tally.arrivals_s = []
  tally.offline_s = []
}

/** Stop, and tell all that was seen: a line per client, then the counts. */
function finish(people) {
  // What closing the clients changes is not of the rollout.
  const seen = structuredClone({...tally, end_s: clock()})
  for (const person of people) person.client.close()
  for (const person of people) say('client', person.told())
  say('result', seen)
}

let people = []
let dueS = clock() + PROGRESS_EVERY_MS / 1000
setInterval(() => {
  const nowS = clock()
  tally.late_s = Math.max(tally.late_s, nowS - dueS)
  dueS = nowS + PROGRESS_EVERY_MS / 1000
  const {cut_without_goodbye: cuts, failed_connects: failed, arrivals_s: arrivals} = tally
  const counts = {moves: arrivals.length, received, cuts, failed}
  say('progress', {...counts, streams, stirred_s: stirredS, at_s: nowS})
}, PROGRESS_EVERY_MS)

for await (const line of createInterface({input: process.stdin})) {
  const command = JSON.parse(line)
  if (command.do === 'setup') {
    people = command.clients.map((one) => new Person(one, command))
    say('listening')
  } else if (command.do === 'endpoints') endpoints = command.endpoints
  else if (command.do === 'connect') void connect(people, command.per_s)
  else if (command.do === 'mark') mark(people)
  else if (command.do === 'finish') finish(people)
}
process.exit()
