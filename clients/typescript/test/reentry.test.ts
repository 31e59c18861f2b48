/** A listener may close, reconnect or start again in the middle of whatever it is told. */
import assert from 'node:assert/strict'
import {describe, test} from 'node:test'
import {CLOSED, SseClient} from '../dist/index.js'
import {
  type Answer,
  connected,
  ended,
  event,
  refused,
  serve,
  shutdown,
  stream,
  until
} from './server.js'

/** What is told first of its type, and the answers that make the server cause it. */
const TOLD: [string, ...Answer[]][] = [
  ['open', stream(event('e-1'))],
  ['message', stream(event('e-1'), event('e-2'))],
  ['connected', stream(connected('a', 'e-1'), event('e-2'))],
  ['shutdown', stream(connected('a', 'e-1'), shutdown('e-2'))],
  ['shutdown', stream(connected('a', 'e-1'), shutdown('e-2', 0, 0))],
  ['shutdown', stream(connected('a', 'e-1'), shutdown('e-2', 20, 0))],
  ['error', ended(event('e-1'))],
  ['error', refused(503)],
  ['error', refused(404)],
  ['error', stream(connected('a', 'e-1', 10))],
  // Both connections of a handover are lost at once.
  ['error', stream(connected('a', 'e-1'), shutdown('e-2')), refused(429)]
]

const ACTIONS: Record<string, (sse: SseClient) => void> = {
  close: (sse) => sse.close(),
  reconnect: (sse) => sse.reconnect(),
  'close and connect': (sse) => {
    sse.close()
    sse.connect()
  },
  connect: (sse) => sse.connect()
}

describe('told and acted', {concurrency: true}, () => {
  for (const [name, act] of Object.entries(ACTIONS)) {
    for (const [index, [type, ...answers]] of TOLD.entries()) {
      test(`${name} when told ${type} (${index})`, async () => {
        const quiet = stream(connected('b', 'e-9'))
        const server = await serve(...answers, quiet)
        const sse = new SseClient(server.url, {initialDelayMs: 5, jitter: 0})
        const thrown: unknown[] = []
        let acted = 0
        let later = 0
        sse.addEventListener(
          type,
          () => {
            acted++
            try {
              act(sse)
            } catch (error) {
              thrown.push(error)
            }
          },
          {once: true}
        )
        // Called after the first, unless that has ended what the event belongs to.
        sse.addEventListener(type, () => void later++)
        sse.connect()
        await until(() => acted === 1, `${type} to be told`)
        const laterThen = later
        await new Promise((resolve) => setTimeout(resolve, 60))
        assert.deepEqual(thrown, [])
        if (name === 'close') {
          assert.equal(sse.readyState, CLOSED)
          assert.deepEqual([later, laterThen], [0, 0])
          const {length} = server.requests
          await new Promise((resolve) => setTimeout(resolve, 30))
          assert.equal(server.requests.length, length, 'nothing is asked for any more')
        } else if (sse.readyState !== CLOSED) {
          await until(() => server.open.size === 1, 'one connection and no more')
        }
        sse.close()
        await until(() => server.open.size === 0, 'every connection to go')
        await server.close()
      })
    }
  }
})
