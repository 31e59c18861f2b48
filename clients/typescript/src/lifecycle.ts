/**
 * What a page lives through: the network back, hidden and seen, put aside and taken up again.
 *
 * Sockets die in a sleeping page without any event, and an open stream keeps a page out of the
 * back/forward cache. Outside a browser none of these events exist, and nothing is watched.
 */

/** What happens, in the client's words. */
export interface Lifecycle {
  /** The network is back, the page is seen or thawed: look after the stream. */
  wake(): void
  /** The page is put aside: let go of the stream. */
  hide(): void
  /** The page is taken up again. */
  show(): void
}

/** Watch until `signal` is aborted. */
export function watchLifecycle(signal: AbortSignal, {wake, hide, show}: Lifecycle): void {
  const {document} = globalThis
  const on = (target: Partial<EventTarget> | undefined, type: string, act: (e: Event) => void) =>
    target?.addEventListener?.(type, act, {signal})
  on(globalThis, 'online', wake)
  on(globalThis, 'pagehide', hide)
  on(globalThis, 'pageshow', (event) => (event as PageTransitionEvent).persisted && show())
  on(document, 'visibilitychange', () => document.visibilityState === 'visible' && wake())
  on(document, 'resume', wake)
}
