/**
 * The request of a stream. What no attempt could send is found when the client is made, not ten
 * times over three minutes.
 */
import {HEADER_LAST_EVENT_ID} from './contract.js'
import {DEFAULTS, type Settings} from './decisions.js'
import type {HeaderFields, SseClientOptions} from './options.js'

/** The options without those that are `undefined`: they stand for the defaults. */
export function given<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter((entry) => entry[1] !== undefined)) as T
}

/**
 * The settings to decide by, and the request's method. Throws a `RangeError` that names the option
 * for a number that cannot work, and a `TypeError` for a request that cannot be made.
 */
export function checked(
  url: string,
  options: SseClientOptions
): {settings: Settings; method: string} {
  const {headers, body, fetch, lastEventId = ''} = options
  const renewable = typeof headers === 'function'
  const {method = body == null ? 'GET' : 'POST'} = options
  const settings = {...DEFAULTS, ...options, renewable} as Settings
  for (const [key, standard] of Object.entries(DEFAULTS)) {
    if (typeof standard !== 'number') continue
    const value = settings[key as keyof Settings]
    // A back-off that shrinks would be none.
    if (typeof value !== 'number' || !(value >= +(key === 'factor'))) throw new RangeError(key)
  }
  const base = fetch
    ? 'http://relative'
    : (globalThis.document?.baseURI ?? globalThis.location?.href)
  const full = new URL(url, base)
  if (!fetch && !/^https?:$/.test(full.protocol)) {
    throw new TypeError(`url: ${url}`)
  }
  // It names what is illegal: credentials in the URL, a method, a header, the body of a GET.
  new Request(full, {
    method,
    headers: requestHeaders(renewable ? {} : headers, lastEventId),
    body: body as BodyInit
  })
  return {settings, method}
}

/**
 * The request's headers: the application's, and the id to resume after. Throws a `TypeError` for
 * what cannot be one.
 */
export function requestHeaders(
  own: HeaderFields = {},
  lastEventId = '',
  accept = 'text/event-stream'
): Record<string, string> {
  const headers = new Headers({accept})
  const fields = Symbol.iterator in own ? (own as Headers) : Object.entries(own)
  for (const [name, value] of fields) {
    if (value === undefined) continue
    if (typeof value !== 'string') throw new TypeError(`header ${name}: ${value}`)
    headers.set(name, value)
  }
  // The header's bytes are UTF-8 (WHATWG HTML 9.2.4), but `fetch` takes them as code units.
  const id = String.fromCharCode(...new TextEncoder().encode(lastEventId))
  // No HTTP/1.1 client sends control characters: every attempt would fail on such an id.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be sent
  if (/^[^\0-\x08\n-\x1f\x7f]+$/.test(id)) headers.set(HEADER_LAST_EVENT_ID, id)
  return Object.fromEntries(headers)
}
