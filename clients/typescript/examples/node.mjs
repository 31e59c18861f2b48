// node examples/node.mjs http://localhost:8080/events?topic=news
import {SseClient, SseError} from 'tidegate'

const stream = new SseClient(process.argv[2], {
  maxAttempts: Infinity,
  headers: async ({refused}) => ({Authorization: `Bearer ${await token({renew: refused > 0})}`})
})
stream.addEventListener('error', ({reason, delayMs}) =>
  console.warn(`${reason}, back in ${delayMs} ms`)
)

try {
  for await (const {type, data, lastEventId} of stream) console.log(lastEventId, type, data)
} catch (error) {
  if (!(error instanceof SseError)) throw error
  console.error(error.message)
  process.exitCode = 1
}

async function token({renew}) {
  return renew ? 'ask your identity provider here' : (process.env.TOKEN ?? '')
}
