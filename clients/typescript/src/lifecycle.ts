/**
 * What a page lives through: the network back, hidden and seen, put aside and taken up again.
 *
 * Sockets die in a sleeping page without any event, and an open stream keeps a page out of the
 * back/forward cache. Outside a browser none of these events exist, and nothing is watched.
 */

/**
 * Watch until `signal` is aborted.
 *
 * @param wake The network is back, the page is seen or thawed: look after the stream.
 * @param hide The page is put aside: let go of the stream.
 * @param show The page is taken up again.
 */
export function watchLifecycle(
  signal: AbortSignal,
  wake: () => void,
  hide: () => void,
  show: () => void
): void {
  const {document} = globalThis
  const on = (target: Partial<EventTarget> | undefined, type: string, act: (e: Event) => void) =>
    target?.addEventListener?.(type, act, {signal})
  on(globalThis, 'online', wake)
  on(globalThis, 'pagehide', hide)
  on(globalThis, 'pageshow', (event) => (event as PageTransitionEvent).persisted && show())
  on(document, 'visibilitychange', () => document.visibilityState === 'visible' && wake())
  on(document, 'resume', wake)
}
