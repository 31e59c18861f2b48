/** A small event-stream server on loopback whose answers a test scripts one by one. */
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http'
import type {AddressInfo} from 'node:net'

export type Answer = (request: IncomingMessage, response: ServerResponse) => void

export interface TestServer {
  url: string
  requests: IncomingMessage[]
  open: Set<ServerResponse>
  close(): Promise<void>
}

/** Answers the n-th request with the n-th answer, and the last one ever after. */
export async function serve(...answers: Answer[]): Promise<TestServer> {
  const requests: IncomingMessage[] = []
  const open = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    requests.push(request)
    open.add(response)
    response.on('close', () => open.delete(response))
    answers[Math.min(requests.length, answers.length) - 1]?.(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const {port} = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/events`,
    requests,
    open,
    close: () => {
      // Listening ends first: a connection that came between the two would hold the process.
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      return closed
    }
  }
}

export function stream(...blocks: string[]): Answer {
  return (_, response) => {
    response.writeHead(200, {'Content-Type': 'text/event-stream'})
    response.write(blocks.join(''))
  }
}

export function ended(...blocks: string[]): Answer {
  return (request, response) => {
    stream(...blocks)(request, response)
    response.end()
  }
}

export function refused(status: number, headers: Record<string, string> = {}): Answer {
  return (_, response) => response.writeHead(status, headers).end('{"error":"no"}')
}

export function event(id: string, data = id, type = ''): string {
  return `id: ${id}\n${type && `event: ${type}\n`}data: ${data}\n\n`
}

export function connected(pod: string, id: string, heartbeatMs = 15_000): string {
  const data = {pod, stream: '1', heartbeat_ms: heartbeatMs, spread_ms: 0, replay: false}
  return event(id, JSON.stringify(data), 'connected')
}

export function shutdown(id: string, afterMs = 0, deadlineMs = 5000): string {
  const data = {reason: 'drain', reconnect_after_ms: afterMs, deadline_ms: deadlineMs}
  return event(id, JSON.stringify(data), 'shutdown')
}

/** Wait for a condition, with a bound. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 1000) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
