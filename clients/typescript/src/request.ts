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

/** What a stream is asked for and decided by. */
export type Checked = Omit<SseClientOptions, keyof Settings> & Settings & {readonly method: string}

/**
 * The options with their defaults. Throws a `RangeError` that names the option for a number that
 * cannot work, and a `TypeError` for a request that cannot be made.
 */
export function checked(url: string, options: SseClientOptions): Checked {
  const {headers, body, fetch} = options
  const renewable = typeof headers === 'function'
  const method = body == null ? 'GET' : 'POST'
  const settings = {...DEFAULTS, method, ...given(options), renewable} as Checked
  for (const [key, standard] of Object.entries(DEFAULTS)) {
    const value = settings[key as keyof Settings]
    // A back-off that shrinks would be none.
    if (
      typeof standard === 'number' &&
      !(typeof value === 'number' && value >= +(key === 'factor'))
    )
      throw new RangeError(key)
  }
  const base = fetch
    ? 'http://relative'
    : (globalThis.document?.baseURI ?? globalThis.location?.href)
  const {href} = new URL(url, base)
  if (!fetch && !/^https?:/.test(href)) throw new TypeError(`url: ${url}`)
  // It names what is illegal: credentials in the URL, a method, a header, the body of a GET.
  new Request(href, {
    method: settings.method,
    headers: requestHeaders(renewable ? {} : headers),
    body: body as BodyInit
  })
  return settings
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
    if (typeof value === 'string') headers.set(name, value)
    else if (value !== undefined) throw new TypeError(`header ${name}: ${value}`)
  }
  // The header's bytes are UTF-8 (WHATWG HTML 9.2.4), but `fetch` takes them as code units.
  const id = String.fromCharCode(...new TextEncoder().encode(lastEventId))
  // No HTTP/1.1 client sends control characters: every attempt would fail on such an id.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be sent
  if (/^[^\0-\x08\n-\x1f\x7f]+$/.test(id)) headers.set(HEADER_LAST_EVENT_ID, id)
  return Object.fromEntries(headers)
}
