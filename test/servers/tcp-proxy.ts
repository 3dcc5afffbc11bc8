import { connect, createServer, type Server, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './server-support.js'

/** What becomes of a piece of an answer: it waits, comes in two halves, or its connection is cut behind the first of them. */
export type Fate = 'passes' | 'waits' | 'is halved' | 'is cut'
const waitMs = 30

/** Stands between clients and a server, and can cut their connections as a network would. */
export class TcpProxy {
  private readonly sockets = new Set<Socket>()
  /** The ends of the server. */
  private readonly answering = new Set<Socket>()
  private isHeld = false
  private left = Number.POSITIVE_INFINITY
  private fate: ((bytes: number) => Fate) | undefined

  private constructor(
    readonly port: number,
    private readonly server: Server,
    /** The port of this machine that new connections lead to. */
    public target: number,
  ) {}

  static async start(target: number): Promise<TcpProxy> {
    const port = await freePort()
    const server = createServer((client) => proxy.join(client, connect(proxy.target, '127.0.0.1')))
    const proxy = new TcpProxy(port, server, target)
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    return proxy
  }

  /** Cuts all connections that there are; new ones can be made. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy()
  }

  /** Cuts all connections when clients have sent so many more bytes: in the middle of what they were about to send. */
  cutAfter(bytes: number): void {
    this.left = bytes
  }

  /** Lets no answer through, neither to those who are connected nor to others. */
  hold(): void {
    this.isHeld = true
    for (const socket of this.answering) socket.pause()
  }

  /** What is to become of each piece of an answer from now on; undefined for nothing. */
  disturb(fate: ((bytes: number) => Fate) | undefined): void {
    this.fate = fate
  }

  /** Lets all through that was held back. */
  release(): void {
    this.isHeld = false
    for (const socket of this.answering) socket.resume()
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve))
    this.cut()
    await closed
  }

  private join(client: Socket, server: Socket): void {
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.sockets.add(one)
      one.setNoDelay(true)
      one.on('error', () => undefined)
      one.once('close', () => {
        this.sockets.delete(one)
        this.answering.delete(one)
        other.destroy()
      })
    }
    this.answering.add(server)
    client.on('data', (bytes) => this.forward(bytes, server))
    client.on('end', () => server.end())
    const answers = new Transform({
      transform: (bytes: Buffer, _, done) => void this.answer(bytes, answers, client).then(done),
    })
    server.pipe(answers).pipe(client)
    if (this.isHeld) server.pause()
  }

  private async answer(bytes: Buffer, answers: Transform, client: Socket): Promise<undefined> {
    const fate = this.fate?.(bytes.length) ?? 'passes'
    const half = bytes.length >> 1
    if (fate === 'waits') await sleep(waitMs)
    if (fate === 'is halved' || fate === 'is cut') {
      answers.push(bytes.subarray(0, half))
      await sleep(waitMs)
    }
    if (fate === 'is cut') client.resetAndDestroy()
    else answers.push(fate === 'is halved' ? bytes.subarray(half) : bytes)
  }

  private forward(bytes: Buffer, server: Socket): void {
    server.write(bytes.subarray(0, Math.max(0, this.left)))
    this.left -= bytes.length
    if (this.left > 0) return
    this.left = Number.POSITIVE_INFINITY
    this.cut()
  }
}

/** What reaches a server by a way on which it can be held up; closing it closes the way as well. */
export async function onWay<C extends { close(): unknown }, T>(
  port: number,
  open: (port: number) => C,
  tried: (connection: C, close: () => Promise<void>) => Promise<T>,
): Promise<T & { readonly way: TcpProxy }> {
  const way = await TcpProxy.start(port)
  const connection = open(way.port)
  const close = async () => {
    await connection.close()
    await way.close()
  }
  return { ...(await tried(connection, close)), way }
}
