/**
 * The parts of the web platform that this package's own types mention.
 *
 * A program without lib DOM (and without @types/node) has none of their names, and would not
 * compile. What is only used is described here by its shape; what must be the very type that the
 * program knows is looked up among its globals.
 */

/** The program's own type of this name, where it has one. */
type Global<Name extends string, Otherwise> = typeof globalThis extends {
  [key in Name]: {prototype: infer Instance}
}
  ? Instance
  : Otherwise

export type WebEvent = Global<'Event', {readonly type: string}>
export type WebMessageEvent = Global<
  'MessageEvent',
  {readonly type: string; readonly data: any; readonly lastEventId: string; readonly origin: string}
>
export type WebAbortSignal = Global<'AbortSignal', {readonly aborted: boolean}>
export type WebHeaders = Iterable<readonly [string, string]> | Global<'Headers', never>
/** A body that can be sent again; a stream cannot. */
export type WebBody =
  | string
  | ArrayBuffer
  | Uint8Array
  | Global<'URLSearchParams', never>
  | Global<'FormData', never>
  | Global<'Blob', never>
export type WebLockManager = Global<'LockManager', {readonly request: unknown}>
export type WebBroadcastChannel = Global<'BroadcastChannel', unknown>
export type WebEventTarget = Global<
  'EventTarget',
  {
    addEventListener(type: string, listener: any, options?: any): void
    removeEventListener(type: string, listener: any, options?: any): void
    dispatchEvent(event: any): boolean
  }
>

/** A `URL`. */
export interface UrlLike {
  readonly href: string
}

/** What is asked of `fetch`; every implementation's `RequestInit` takes it. */
export interface FetchInit {
  readonly method?: string
  readonly headers: Record<string, string>
  /** Of a type that is sent again as it is. */
  readonly body?: any
  readonly cache?: 'no-store'
  readonly credentials?: 'omit' | 'same-origin' | 'include'
  readonly keepalive?: boolean
  readonly signal: WebAbortSignal
}

/** What is used of its answer: any `Response` that streams. */
export interface FetchResponse {
  readonly status: number
  readonly headers: {get(name: string): string | null}
  readonly body: {
    getReader(): {
      read(): Promise<{readonly done: boolean; readonly value?: Uint8Array | undefined}>
    }
  } | null
}

/** The part of `fetch` that is used: a browser's, Node's, undici's, or your own. */
export type FetchLike = (url: string, init: FetchInit) => Promise<FetchResponse>
