import tidegate = require('tidegate')

import {EventSource} from 'tidegate/eventsource'

export const url: string = new tidegate.SseClient('http://x').url
export const source: EventSource = new EventSource('http://x')
