/**
 * One stream: carries out what the {@link Connector} decides, with `fetch` and one timer, and gives
 * what comes to a consumer.
 *
 * Each connection has its own AbortController and parser. A consumer without room makes the reading
 * stop; the server then sees a full socket and tells in a `gap` what was lost.
 */

import type {Action, Ending, Inputs, ReadyState, StopReason} from './actions.js'
import {CLOSED} from './actions.js'
import {moment} from './clock.js'
import type {Connection} from './connection.js'
import {createConnector} from './connector.js'
import {QUERY_HANDOVER} from './contract.js'
import {retryAfterMs} from './decisions.js'
import {watchLifecycle} from './lifecycle.js'
import {guard} from './listeners.js'
import type {OpenEvent, SseClientOptions, SseErrorEvent, SseEvent} from './options.js'
import {SseError} from './options.js'
import {createParser, MAX_RETRY_MS, OversizedError} from './parser.js'
import {checked, requestHeaders} from './request.js'
import type {FetchInit, UrlLike} from './web-types.js'

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
  /** Counts ends and new starts: what was decided in an earlier life is not told any more. */
  life: number
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
  const connector = createConnector(settings)
  let timer: ReturnType<typeof setTimeout> | undefined
  /** What the timer was set for; it may ring earlier. */
  let armedMs = Infinity
  let watching: AbortController | undefined
  /** What has ended the connection whose end is being carried out. */
  let thrown: unknown

  const carryOut = (actions: Action[]) => {
    const {life} = stream
    for (const action of actions) {
      if (action.do === 'abort') action.held.abort?.()
      // A listener may have closed the client in the middle of these actions.
      else if (life !== stream.life) continue
      else if (action.do === 'deliver') to.deliver(action.event, action.control)
      else if (action.do === 'open') {
        stream.running = true
        stream.stopped = undefined
        void follow(action)
      } else tell(action)
    }
  }

  const tell = ({change, last}: Action & {do: 'tell'}) => {
    if (change.type === 'open') return to.tell(change)
    const {reason, status, willRetry} = change
    if (!willRetry) {
      const cause = thrown ?? (last && new Error(`${last} ${status || ''}`))
      stream.stopped = new SseError(reason as StopReason, status, cause)
      stream.running = false
    }
    to.tell({...change, error: thrown})
  }

  const act = <Input extends keyof Inputs>(input: Input, ...facts: Parameters<Inputs[Input]>) => {
    carryOut(connector.step(moment(), input, ...facts))
    arm()
  }

  /** One timer for everything. It may ring too early, as bytes only move the watchdog back. */
  const arm = () => {
    const dueMs = connector.deadlineMs()
    // A new timer for every chunk would cost more than reading it.
    if (armedMs <= dueMs && dueMs < Infinity) return
    clearTimeout(timer)
    armedMs = dueMs
    const ring = () => {
      armedMs = Infinity
      act('tick')
    }
    // A timer that is asked for more than it can wait for rings at once.
    const waitMs = Math.min(dueMs - moment().nowMs, MAX_RETRY_MS)
    if (dueMs < Infinity) timer = setTimeout(ring, waitMs)
  }

  const follow = async ({held, renew: refused, handover}: Action & {do: 'open'}) => {
    const {fetch = globalThis.fetch} = settings
    const abort = new AbortController()
    held.abort = () => abort.abort()
    connector.online = globalThis.navigator?.onLine !== false
    let how: Ending = 'error'
    let error: unknown
    try {
      const fields = typeof headers === 'function' ? await headers({refused}) : headers
      how = 'invalid_request'
      const sent = requestHeaders(fields, connector.lastEventId)
      how = 'error'
      if (method !== 'GET') held.repeat = sent['idempotency-key'] ? 'broken' : 'unanswered'
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
      const {status, headers: got} = response
      const waitMs = retryAfterMs(got.get('retry-after'), Date.now())
      act('responded', held, status, got.get('content-type'), waitMs)
      if (!held.gone) {
        how = 'unreadable'
        const reader = response.body!.getReader()
        how = 'error'
        await read(held, () => reader.read())
        how = 'eof'
      }
    } catch (caught) {
      error = caught
      if (error instanceof OversizedError) how = 'oversized'
    }
    abort.abort()
    thrown = error
    act('ended', held, how)
    thrown = undefined
  }

  const read = async (
    held: Connection,
    next: () => Promise<{readonly value?: Uint8Array | undefined}>
  ) => {
    const {lastEventId} = connector
    const feed = createParser({...settings, lastEventId})
    for (let chunk; (chunk = (await next()).value); ) {
      const at = moment()
      held.activeMs = at.nowMs
      const id = feed(chunk, (item) => {
        if ('type' in item) {
          const actions = connector.event(at, held, item)
          if (actions) carryOut(actions)
          else to.deliver(item, false)
        } else if ('retryMs' in item) connector.step(at, 'retry', held, item.retryMs)
        else if (onComment) guard(onComment, onListenerError, item.comment)
        return !held.gone
      })
      if (held.gone) return
      connector.step(at, 'position', held, id)
      to.reach?.(connector.lastEventId)
      arm()
      for (let room; (room = to.room?.()); ) {
        // This silence is ours, not the server's.
        held.activeMs = Infinity
        await room
        held.activeMs = moment().nowMs
        arm()
      }
    }
  }

  const stream: Stream = {
    url,
    get readyState() {
      return connector.readyState
    },
    running: false,
    stopped: undefined,
    life: 0,

    start(lastEventId) {
      if (own?.aborted) return
      if (!watching) {
        watching = new AbortController()
        watchLifecycle(watching.signal, own, {
          wake: () => act('wake'),
          hide: () => act('close'),
          show: () => act('connect'),
          close: to.close
        })
      }
      if (connector.readyState === CLOSED) {
        connector.lastEventId = lastEventId
        act('connect')
      }
    },

    stop() {
      watching?.abort()
      watching = undefined
      stream.running = false
      stream.cut()
    },

    cut() {
      stream.life++
      act('close')
    }
  }
  return stream
}
