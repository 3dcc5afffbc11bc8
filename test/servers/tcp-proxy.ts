import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePort } from './server-support.js'

/** Stands between clients and a server, and can cut their connections as a network would. */
export class TcpProxy {
  private readonly sockets = new Set<Socket>()

  private constructor(
    readonly port: number,
    private readonly server: Server,
  ) {}

  /** `target` is a port of this machine. */
  static async start(target: number): Promise<TcpProxy> {
    const port = await freePort()
    const server = createServer((client) => proxy.join(client, connect(target, '127.0.0.1')))
    const proxy = new TcpProxy(port, server)
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    return proxy
  }

  /** Cuts all connections that there are; new ones can be made. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy()
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
        other.destroy()
      })
      one.pipe(other)
    }
  }
}
