// The same with Node's own http.
import http from 'node:http'

const server = http.createServer((request, response) => {
  if (request.method === 'POST' && request.url === '/echo') {
    request.pipe(response)
    return
  }
  response.writeHead(200, {'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache'})
  let n = 0
  const last = request.method === 'POST' ? 40 : Infinity
  const timer = setInterval(() => {
    n += 1
    if (n > last) {
      clearInterval(timer)
      response.end('data: [DONE]\n\n')
    } else {
      response.write(`id: ${n}\ndata: tick ${n}\n\n`)
    }
  }, last === 40 ? 30 : 100)
  request.on('close', () => last === Infinity && clearInterval(timer))
})
server.listen(Number(process.argv[2]), '127.0.0.1')
