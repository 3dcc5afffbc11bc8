import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { Writer } from '../../src/kafka/fetch/protocol/writer.js'

/** What a client asks. */
export interface Question {
  readonly key: number
  readonly version: number
  readonly id: number
  /** What comes after the header. */
  readonly body: Buffer
  readonly socket: Socket
  /** How many questions of all connections came before it. */
  readonly index: number
}

/** What a broker does with a question: most answer. */
export type Manner = (question: Question) => unknown

export const keys = { fetch: 1, offsets: 2, metadata: 3, handshake: 17, versions: 18, authenticate: 36 } as const

/** An answer with its length, as the classic versions have it. */
export function answerTo(id: number, write: (to: Writer) => void): Buffer {
  const to = new Writer(false)
  to.int32(id)
  write(to)
  return to.framed()
}

export function answering(write: (to: Writer, question: Question) => void): Manner {
  return (question) => question.socket.write(answerTo(question.id, (to) => write(to, question)))
}

/** A broker of which each kind of question is answered as a test says, over real sockets. */
export class FakeBroker {
  /** What it has been asked. */
  readonly questions: Question[] = []
  /** By kind; of the others it answers what a broker needs for a connection, with itself as the only broker, number 1. */
  manners: Record<number, Manner> = {}
  cluster = 'one'
  connections = 0
  private readonly sockets = new Set<Socket>()

  private constructor(private readonly server: Server) {
    server.on(isTls(server) ? 'secureConnection' : 'connection', (socket: Socket) => this.serve(socket))
  }

  static async start(tls?: TlsOptions, port = 0): Promise<FakeBroker> {
    const broker = new FakeBroker(tls === undefined ? createServer() : createTlsServer(tls))
    broker.server.listen(port, '127.0.0.1')
    await once(broker.server, 'listening')
    return broker
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  get bootstrap(): string {
    return `127.0.0.1:${this.port}`
  }

  /** How many connections there are. */
  get open(): number {
    return this.sockets.size
  }

  /** The kinds of questions in their order. */
  get asked(): number[] {
    return this.questions.map(({ key }) => key)
  }

  /** Who leads what is asked for: this broker, or who is named. */
  leads(
    topics: readonly { topic: string; error?: number; leaders?: readonly (readonly [node: number, epoch: number])[] }[],
  ) {
    this.manners[keys.metadata] = answering((to) => this.describe(to, [{ id: 1, port: this.port }], topics))
  }

  describe(
    to: Writer,
    brokers: readonly { id: number; port: number }[],
    topics: readonly {
      topic: string
      error?: number
      leaders?: readonly (readonly [node: number, epoch: number])[]
    }[] = [],
  ): void {
    to.int32(0)
    to.array(brokers, ({ id, port }) => {
      to.int32(id)
      to.string('127.0.0.1')
      to.int32(port)
      to.string(null)
    })
    to.string(this.cluster)
    to.int32(1)
    to.array(topics, ({ topic, error = 0, leaders = [] }) => {
      to.int16(error)
      to.string(topic)
      to.bool(false)
      to.array([...leaders.entries()], ([partition, [node, epoch]]) => {
        to.int16(node < 0 ? 5 : 0)
        to.int32(partition)
        to.int32(node)
        to.int32(epoch)
        for (let list = 0; list < 3; list++) to.array([], () => undefined)
      })
    })
  }

  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy()
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve))
    for (const socket of this.sockets) socket.destroy()
    await closed
  }

  private serve(socket: Socket): void {
    this.connections++
    this.sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.once('close', () => this.sockets.delete(socket))
    let bytes = Buffer.alloc(0)
    socket.on('data', (piece: Buffer) => {
      bytes = Buffer.concat([bytes, piece])
      for (let end = endOf(bytes); end <= bytes.length; end = endOf(bytes)) {
        this.hear(bytes.subarray(4, end), socket)
        bytes = bytes.subarray(end)
      }
    })
  }

  private hear(frame: Buffer, socket: Socket): void {
    const [key, version, id] = [frame.readInt16BE(0), frame.readInt16BE(2), frame.readInt32BE(4)]
    const body = frame.subarray(10 + Math.max(0, frame.readInt16BE(8)))
    const question = { key, version, id, body, socket, index: this.questions.length }
    this.questions.push(question)
    const manner = this.manners[key] ?? (key === keys.versions ? spokenVersions : this.usual)
    manner(question)
  }

  private readonly usual: Manner = ({ key, id, socket }) => {
    if (key === keys.metadata) socket.write(answerTo(id, (to) => this.describe(to, [{ id: 1, port: this.port }])))
  }
}

/** As brokers before 2.4 answer who asks in a newer version, and then in that which they know. */
const spokenVersions = answering((to, { version }) => {
  to.int16(version === 0 ? 0 : 35)
  const spoken = version === 0 ? Object.values(keys).map((key) => [key, 0, 11] as const) : []
  to.array(spoken, (numbers) => {
    for (const number of numbers) to.int16(number)
  })
})

function endOf(bytes: Buffer): number {
  return bytes.length < 4 ? Number.POSITIVE_INFINITY : 4 + bytes.readInt32BE()
}

function isTls(server: Server): boolean {
  return 'setSecureContext' in server
}
