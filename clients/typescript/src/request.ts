/**
 * The request of a stream. What no attempt could send is found when the client is made, not ten
 * times over three minutes.
 */
import {HEADER_LAST_EVENT_ID} from './contract.js'
import {DEFAULTS, type Settings} from './decisions.js'
import type {HeaderFields, SseClientOptions} from './options.js'
import {BOUNDS} from './parser.js'

/** The options without those that are `undefined`: they stand for the defaults. */
export function given<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter((entry) => entry[1] !== undefined)) as T
}

/** What a stream is asked for and decided by. */
export type Checked = Omit<SseClientOptions, keyof Settings> & Settings & {readonly method: string}

/**
 * The options with their defaults. Throws a `RangeError` that names the option for a value that
 * cannot work, and a `TypeError` for a request that cannot be made.
 */
export function checked(url: string, options: SseClientOptions): Checked {
  const {headers, body, credentials, fetch} = options
  const renewable = typeof headers === 'function'
  const settings: Record<string, unknown> = {...options, renewable}
  for (const [key, standard] of Object.entries({...DEFAULTS, ...BOUNDS})) {
    const value = (settings[key] ??= standard)
    const legal =
      typeof standard === 'number'
        ? // A back-off that shrinks would be none, and no event has a length of 0.
          typeof value === 'number' && value >= +/factor|Length/.test(key)
        : key !== 'handover' || value === 'auto' || typeof value === 'boolean'
    if (!legal) throw new RangeError(key)
  }
  if (typeof (fetch ?? globalThis.fetch) !== 'function') throw new TypeError('fetch')
  // It cannot be sent again. Deno and Bun would take it, and Safari its name.
  if (body && 'getReader' in Object(body)) throw new TypeError('body: a stream')
  // It names what is illegal: a URL, credentials in it, a method, a header, the body of a GET. What
  // a `fetch` of the application's own makes of a relative URL is its business.
  const request = new Request(fetch ? new URL(url, 'http://relative') : url, {
    method: options.method ?? (body == null ? 'GET' : 'POST'),
    headers: requestHeaders(renewable ? {} : headers),
    body: body as BodyInit,
    credentials
  } as RequestInit)
  if (!fetch && !/^https?:/.test(request.url)) throw new TypeError(`url: ${url}`)
  settings['method'] = request.method
  return settings as unknown as Checked
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
  const id = unescape(encodeURIComponent(lastEventId))
  // No HTTP/1.1 client sends control characters, and no server takes a head that is longer than it
  // reads (nginx: 8 kB a line): every attempt would fail on such an id.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be sent
  if (/^[^\0-\x08\n-\x1f\x7f]{1,4096}$/.test(id)) headers.set(HEADER_LAST_EVENT_ID, id)
  return Object.fromEntries(headers)
}
