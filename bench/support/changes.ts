import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const filler = 'Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore. '

/** One change of about 1.4 KB, as large as those of Wikimedia are, of one of 300 sites and 50,000 users. */
export function changeText(index: number): string {
  const domain = `site-${(index * 7) % 300}.wikipedia.org`
  const user = `user-${(index * 7_919) % 50_000}`
  const dt = new Date(Date.UTC(2026, 0, 1) + index).toISOString()
  const meta = `{"uri":"https://${domain}/wiki/${index}","id":"${index}","domain":"${domain}","stream":"changes","dt":"${dt}"}`
  const texts = `"title":"${filler}","comment":"${filler.repeat(4)}","parsedcomment":"${filler.repeat(6)}"`
  return `{"meta":${meta},${texts},"user":"${user}","bot":${index % 3 === 0}}`
}

function frame(index: number): string {
  return `event: message\nid: [{"topic":"changes","partition":0,"offset":${index}}]\ndata: ${changeText(index)}\n\n`
}

/** Serves so many changes as fast as they are read, and then nothing more. */
export async function serveChanges(events: number): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    // A reader that has enough hangs up.
    serve(response, events).catch(() => undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function serve(response: ServerResponse, events: number): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  for (let index = 0; index < events && !response.destroyed; ) {
    let text = ''
    for (const end = Math.min(events, index + 40); index < end; index++) text += frame(index)
    if (!response.write(text)) await once(response, 'drain', { signal: gone.signal })
  }
}
