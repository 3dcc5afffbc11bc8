import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** An event as its bytes are, which need not be UTF-8. */
interface RawEvent {
  readonly id: string
  readonly data: Buffer
}

/** What a request for the stream gets. */
type Manner = (
  server: HostileServer,
  response: ServerResponse,
  lastEventId: string | undefined,
) => Promise<void> | undefined

/**
 * Serves a stream as badly as it is told: each request for it gets the next manner, the last one again and again.
 * `/loop` leads to itself, `/moved` to the next manner.
 */
export class HostileServer {
  /** The `Last-Event-ID` of each request, in UTF-8. */
  readonly asked: (string | undefined)[] = []
  /** The most bytes that one answer has got rid of. */
  mostSent = 0
  private readonly server = createServer((request, response) => void this.answer(request, response))

  private constructor(
    readonly events: readonly RawEvent[],
    private readonly manners: readonly Manner[],
  ) {}

  static async start(events: readonly RawEvent[], manners: readonly Manner[]): Promise<HostileServer> {
    const hostile = new HostileServer(events, manners)
    hostile.server.listen(0, '127.0.0.1')
    await once(hostile.server, 'listening')
    return hostile
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/stream`
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  /** The events that come after this one, as one row of bytes. */
  after(lastEventId: string | undefined): Buffer {
    const next = this.events.findIndex(({ id }) => id === lastEventId) + 1
    const frames = this.events.slice(next).map(({ id, data }) => [Buffer.from(`id: ${id}\ndata: `), data, lineEnds])
    return Buffer.concat(frames.flat())
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/loop') return void response.writeHead(302, { location: '/loop' }).end()
    const header = request.headers['last-event-id']
    const id = header === undefined ? undefined : Buffer.from(String(header), 'latin1').toString()
    const manner = this.manners[Math.min(this.asked.length, this.manners.length - 1)] as Manner
    // It is not over before the redirected request has come.
    if (manner !== moved || request.url === '/moved') this.asked.push(id)
    if (manner === moved && request.url !== '/moved') return void response.writeHead(301, { location: '/moved' }).end()
    const { socket } = response
    response.once('close', () => {
      this.mostSent = Math.max(this.mostSent, socket?.bytesWritten ?? 0)
    })
    await manner(this, response, id)?.catch(() => response.destroy())
  }
}

const lineEnds = Buffer.from('\n\n')
const stream = { 'content-type': 'text/event-stream' }

/** A status, and nothing else. */
export function status(code: number, headers: Readonly<Record<string, string>> = {}): Manner {
  return (_server, response) => void response.writeHead(code, headers).end()
}

/** Cuts the connection before there is an answer. */
export const cut: Manner = (_server, response) => void response.destroy()

/** Begins an answer, and says nothing more. */
export const silent: Manner = (_server, response) => void response.writeHead(200, stream).flushHeaders()

/** Goes on for ever with what is in no line, or in no stream. */
export function endless(contentType: string, beginning: string): Manner {
  return async (_server, response) => {
    response.writeHead(200, { 'content-type': contentType })
    response.write(beginning)
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    for (const piece = Buffer.alloc(65_536, 'x'); ; )
      if (!response.write(piece)) await once(response, 'drain', { signal: gone.signal })
  }
}

/**
 * Sends so much of what comes next, in pieces of so many bytes, wherever that cuts it; then the answer ends, or breaks,
 * or, at the end of all, stays as it is.
 */
export function part(bytes: number, pieceBytes: number, end: 'end' | 'break' | 'stay'): Manner {
  return async (server, response, lastEventId) => {
    response.writeHead(200, stream).write('retry: 20\n\n')
    const sent = server.after(lastEventId).subarray(0, bytes)
    for (let at = 0; at < sent.length; at += pieceBytes) {
      response.write(sent.subarray(at, at + pieceBytes))
      // So that each piece is one of its own on its way.
      await sleep(0)
    }
    if (end === 'end') response.end()
    if (end === 'break') response.destroy()
  }
}

/** Sends the client to another address, which does the same as `part`. */
export const moved: Manner = part(3_000, 700, 'break')
