import {useEffect, useRef, useState} from 'react'
import {type ReadyState, SseClient, type SseClientOptions, type SseEvent} from 'tidegate'

/** Follow `url` while mounted; other `options` open it anew: memoize them. Returns the state. */
export function useEventStream(
  url: string,
  onEvent: (event: SseEvent) => void,
  options?: SseClientOptions
): ReadyState {
  const [readyState, setReadyState] = useState<ReadyState>(0)
  const latest = useRef(onEvent)
  useEffect(() => void (latest.current = onEvent))
  useEffect(() => {
    const client = new SseClient(url, options)
    const change = () => setReadyState(client.readyState)
    client.addEventListener('open', change)
    client.addEventListener('error', change)
    const follow = async () => {
      for await (const event of client) {
        // An exception is reported as any other of an effect, and the stream goes on.
        new Promise((resolve) => resolve(latest.current(event))).catch(reportError)
      }
    }
    follow().catch(change)
    return () => client.close()
  }, [url, options])
  return readyState
}
