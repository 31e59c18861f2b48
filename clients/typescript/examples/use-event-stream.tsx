import {useEffect, useRef, useState} from 'react'
import {SseClient, type ReadyState, type SseClientOptions, type SseEvent} from 'tidegate'

/** Follow `url` while mounted; `onEvent` gets every application event. Returns the state. */
export function useEventStream(
  url: string,
  onEvent: (event: SseEvent) => void,
  options?: SseClientOptions
): ReadyState {
  const [readyState, setReadyState] = useState<ReadyState>(0)
  const latest = useRef(onEvent)
  latest.current = onEvent
  useEffect(() => {
    const client = new SseClient(url, options)
    const change = () => setReadyState(client.readyState)
    client.addEventListener('open', change)
    client.addEventListener('error', change)
    const follow = async () => {
      for await (const event of client) latest.current(event)
    }
    follow().catch(change)
    return () => client.close()
  }, [url])
  return readyState
}
