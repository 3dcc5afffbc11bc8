import { createHmac, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** By `performance.now`. */
  readonly at: number
}

/** What becomes of a request, once all of it was received. */
export type Manner = (response: ServerResponse, received: Received) => void

/** A receiver of webhooks: each request gets the next manner, and where there is none any more, 204. */
export class Receiver {
  readonly received: Received[] = []
  readonly sockets = new Set<Socket>()
  /** The most that were under way at once. */
  mostAtOnce = 0
  private underWay = 0
  private manners: Manner[] = []
  private usual: Manner = (response) => void response.writeHead(204).end()
  private readonly server = createServer((request, response) => void this.take(request, response))

  static async start(): Promise<Receiver> {
    const receiver = new Receiver()
    receiver.server.on('connection', (socket) => receiver.sockets.add(socket))
    receiver.server.listen(0, '127.0.0.1')
    await once(receiver.server, 'listening')
    return receiver
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hook`
  }

  /** The next requests are answered so, in this order. */
  next(...manners: Manner[]): void {
    this.manners.push(...manners)
  }

  /** And all behind them so. */
  always(manner: Manner): void {
    this.usual = manner
  }

  reset(): void {
    this.received.length = 0
    this.sockets.clear()
    this.manners = []
    this.mostAtOnce = 0
    this.usual = (response) => void response.writeHead(204).end()
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.underWay)
    response.once('close', () => this.underWay--)
    try {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const { url = '', headers } = request
      const received = { path: url, headers, body: Buffer.concat(chunks).toString(), at: performance.now() }
      this.received.push(received)
      ;(this.manners.shift() ?? this.usual)(response, received)
    } catch {
      // Half a request is none.
    }
  }
}

export function status(code: number, headers: Readonly<Record<string, string>> = {}, body = ''): Manner {
  return (response) => void response.writeHead(code, headers).end(body)
}

/** No answer, and the connection stays. */
export const never: Manner = () => undefined

export const cut: Manner = (response) => void response.destroy()

/** Half of an answer: of its head, or of its body. */
export function half(what: 'head' | 'body', code = 200): Manner {
  return ({ socket }) => {
    socket?.write(what === 'head' ? 'HTTP/1.1 20' : `HTTP/1.1 ${code} Told\r\ncontent-length: 100\r\n\r\nhalf`)
    socket?.end()
  }
}

/** Two answers to one request. */
export const twice: Manner = ({ socket }) => {
  const answer = 'HTTP/1.1 204 No Content\r\n\r\n'
  socket?.write(answer + answer)
}

/** As whoever verifies a request of Standard Webhooks does, with the libraries of that or without. */
export function isSigned({ headers, body }: Received, secret: string): boolean {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const content = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`
  const expected = createHmac('sha256', key).update(content).digest()
  return String(headers['webhook-signature'])
    .split(' ')
    .some((each) => {
      const [version, signature = ''] = each.split(',')
      const given = Buffer.from(signature, 'base64')
      return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected)
    })
}
