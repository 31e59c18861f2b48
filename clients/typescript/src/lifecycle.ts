/**
 * What a client lives through: the network back, the page hidden and seen, put aside and taken up
 * again, and the application's own signal.
 *
 * Sockets die in a sleeping page without any event, and an open stream keeps a page out of the
 * back/forward cache. Outside a browser none of its events exist, and nothing of it is watched.
 */

/** What is done about it. */
export interface Reactions {
  /** The network is back, the page is seen or thawed: look after the stream. */
  readonly wake: () => void
  /** The page is put aside: let go of the stream. */
  readonly hide: () => void
  /** The page is taken up again. */
  readonly show: () => void
  /** The application has aborted. */
  readonly close: () => void
}

/** Watch until `until` is aborted; `signal` is the application's own. */
export function watchLifecycle(
  until: AbortSignal,
  signal: AbortSignal | undefined,
  {wake, hide, show, close}: Reactions
): void {
  const {document} = globalThis
  const on = (target: Partial<EventTarget> | undefined, type: string, act: (e: Event) => void) =>
    target?.addEventListener?.(type, act, {signal: until})
  on(signal, 'abort', close)
  on(globalThis, 'online', wake)
  on(globalThis, 'pagehide', hide)
  on(globalThis, 'pageshow', (event) => (event as PageTransitionEvent).persisted && show())
  on(document, 'resume', wake)
  on(document, 'visibilitychange', () => document.visibilityState === 'visible' && wake())
}
