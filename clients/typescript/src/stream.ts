/**
 * One stream: the shell of the {@link Connector}, with `fetch` and one timer, which gives what
 * comes to a consumer.
 *
 * Each connection has its own AbortController and parser. A consumer without room makes the reading
 * stop; the server then sees a full socket and tells in a `gap` what was lost.
 */

import type {Ending, ReadyState, StopReason} from './actions.js'
import {CLOSED} from './actions.js'
import {now} from './clock.js'
import type {Connection} from './connection.js'
import {createConnector} from './connector.js'
import {QUERY_HANDOVER} from './contract.js'
import {retryAfterMs} from './decisions.js'
import {watchLifecycle} from './lifecycle.js'
import {guard} from './listeners.js'
import type {OpenEvent, SseClientOptions, SseErrorEvent, SseEvent} from './options.js'
import {SseError} from './options.js'
import {createParser, MAX_RETRY_MS} from './parser.js'
import {checked, requestHeaders} from './request.js'
import type {FetchInit, FetchResponse, UrlLike} from './web-types.js'

/** Methods that do nothing, however often (RFC 9110 9.2.1, and QUERY). */
const SAFE = /^(GET|HEAD|OPTIONS|QUERY)$/

/** Gets what comes. */
export interface Consumer {
  /** An event; `control` marks the server's own. */
  deliver(event: SseEvent, control: boolean): void
  tell(change: OpenEvent | SseErrorEvent): void
  /** The stream stands at this id, also where no event was delivered. */
  reach?(lastEventId: string): void
  /** Where there is no room: when to ask again. */
  room?(): Promise<unknown> | undefined
  /** The application's signal has aborted. */
  close(): void
}

export interface Stream {
  /** What is asked for; where it is relative, `fetch` resolves it. */
  readonly url: string
  /** CONNECTING (0), OPEN (1) or CLOSED (2). */
  readonly readyState: ReadyState
  /** Whether it has been started and not come to its end. */
  running: boolean
  /** Why it has come to its end, unless it was closed. */
  stopped: SseError | undefined
  /** Start, unless started; resumes after `lastEventId`. */
  start(lastEventId: string): void
  /** Stop; nothing is delivered any more. May be called in any state, also twice. */
  stop(): void
  /** Let go of what is open, to start anew. */
  cut(): void
}

/** A stream that has not been started. Throws as {@link checked} does. */
export function createStream(
  anyUrl: string | UrlLike,
  options: SseClientOptions,
  to: Consumer
): Stream {
  const url = String(anyUrl).replace(/#.*/s, '')
  const settings = checked(url, options)
  const {headers, method, body, credentials, signal: own, onComment, onListenerError} = settings
  let timer: ReturnType<typeof setTimeout> | undefined
  /** What the timer was set for; it may ring earlier. */
  let armedMs = Infinity
  let watching: AbortController | undefined

  const open = async (held: Connection, refused: number, handover: boolean) => {
    stream.running = true
    stream.stopped = undefined
    const {fetch = globalThis.fetch} = settings
    const abort = new AbortController()
    held.abort = () => abort.abort()
    let how: Ending = 'error'
    let error: unknown
    try {
      const fields = typeof headers === 'function' ? await headers({refused}) : headers
      how = 'invalid_request'
      const sent = requestHeaders(fields, connector.lastEventId)
      how = 'error'
      if (!SAFE.test(method)) held.repeat = sent['idempotency-key'] ? 'broken' : 'unanswered'
      const asking = handover ? `${url.includes('?') ? '&' : '?'}${QUERY_HANDOVER}=1` : ''
      const response = await fetch(url + asking, {
        method,
        body,
        signal: abort.signal,
        headers: sent,
        // Without a cache `fetch` says `Cache-Control: no-cache`, and no preflight asks for it.
        cache: 'no-store',
        credentials
      } as FetchInit)
      how = 'unreadable'
      const {status, headers: got} = response
      const waitMs = retryAfterMs(got.get('retry-after'), Date.now())
      connector.responded(held, status, got.get('content-type'), waitMs)
      arm()
      if (!held.gone) {
        const reader = response.body!.getReader()
        how = 'error'
        await read(held, reader)
        how = 'eof'
      }
    } catch (caught) {
      error = caught
      // Only the parser throws one here.
      if (held.opened && error instanceof RangeError) how = 'oversized'
    }
    abort.abort()
    connector.ended(held, how, error)
    arm()
  }

  const read = async (
    held: Connection,
    reader: ReturnType<NonNullable<FetchResponse['body']>['getReader']>
  ) => {
    const feed = createParser({...settings, lastEventId: connector.lastEventId})
    for (let chunk; (chunk = (await reader.read()).value); ) {
      held.activeMs = now()
      const id = feed(chunk, (item) => {
        if ('type' in item) connector.event(held, item)
        else if ('retryMs' in item) connector.retry(held, item.retryMs)
        else if (onComment) guard(onComment, onListenerError, item.comment)
        return !held.gone
      })
      if (held.gone) return
      connector.position(held, id)
      to.reach?.(connector.lastEventId)
      arm()
      for (let room; (room = to.room?.()); ) {
        // This silence is ours, not the server's.
        held.activeMs = Infinity
        await room
        held.activeMs = now()
        arm()
      }
    }
  }

  const connector = createConnector(settings, {
    now,
    random: Math.random,
    online: () => globalThis.navigator?.onLine !== false,
    deliver: to.deliver,
    open,

    tell(change) {
      if (change.type === 'error' && !change.willRetry) {
        stream.stopped = new SseError(change.reason as StopReason, change.status, change.error)
        stream.running = false
      }
      to.tell(change)
    }
  })

  /** One timer for everything. It may ring too early, as bytes only move the watchdog back. */
  const arm = () => {
    const dueMs = connector.deadlineMs()
    // A new timer for every chunk would cost more than the chunk.
    if (armedMs <= dueMs && dueMs < Infinity) return
    clearTimeout(timer)
    armedMs = dueMs
    const ring = () => {
      armedMs = Infinity
      connector.tick()
      arm()
    }
    // A timer that is asked for more than it can wait for rings at once.
    if (dueMs < Infinity) timer = setTimeout(ring, Math.min(dueMs - now(), MAX_RETRY_MS))
  }

  const act = (input: 'connect' | 'close' | 'wake') => () => {
    connector[input]()
    arm()
  }

  const stream: Stream = {
    url,
    get readyState() {
      return connector.readyState
    },
    running: false,
    stopped: undefined,

    start(lastEventId) {
      if (own?.aborted) return
      if (!watching) {
        watching = new AbortController()
        watchLifecycle(watching.signal, own, {
          wake: act('wake'),
          hide: act('close'),
          show: act('connect'),
          close: to.close
        })
      }
      if (connector.readyState === CLOSED) {
        connector.lastEventId = lastEventId
        connect()
      }
    },

    stop() {
      watching?.abort()
      watching = undefined
      stream.running = false
      stream.cut()
    },

    cut: act('close')
  }
  const connect = act('connect')
  return stream
}
