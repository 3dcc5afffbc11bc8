import { EventEmitter } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What becomes of one request, in place of being passed on. */
export type Fault = (exchange: Exchange) => Promise<void> | void

export interface Exchange {
  readonly asked: IncomingMessage
  readonly answer: ServerResponse
  /** The whole body, when it is there. */
  body(): Promise<Buffer>
  /** Passes it on, and tells what the server said. */
  pass(): Promise<Passed>
  /** Gives the client what the server said. */
  reply(passed: Passed): void
}

export interface Passed {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

interface Rule {
  readonly when: (asked: IncomingMessage) => boolean
  readonly fault: Fault
  times: number
}

/** Stands between a store's client and its server, and does to requests what networks and servers do. */
export class FaultProxy {
  /** What was asked, as `PUT /bucket/name?query`. */
  readonly requests: string[] = []
  /** Emits `met` with each request that meets a fault. */
  readonly meetings = new EventEmitter<{ met: [IncomingMessage] }>()
  /** How many have. */
  met = 0
  private readonly rules: Rule[] = []

  private constructor(
    private readonly server: Server,
    private readonly target: number,
  ) {}

  /** `target` is a port of this machine. */
  static async start(target: number): Promise<FaultProxy> {
    const server = createServer((asked, answer) => void proxy.handle(asked, answer))
    const proxy = new FaultProxy(server, target)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Has the next requests of that kind meet a fault. */
  meet(fault: Fault, times = 1, when: Rule['when'] = () => true): void {
    this.rules.push({ when, fault, times })
  }

  /** Begins anew. */
  reset(): void {
    this.rules.length = 0
    this.requests.length = 0
    this.met = 0
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async handle(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    this.requests.push(`${asked.method} ${asked.url}`)
    const rule = this.rules.find(({ when, times }) => times > 0 && when(asked))
    if (rule !== undefined) {
      rule.times--
      this.met++
      this.meetings.emit('met', asked)
    }
    try {
      await (rule?.fault ?? forward)(this.exchange(asked, answer))
    } catch {
      answer.destroy()
    }
  }

  private exchange(asked: IncomingMessage, answer: ServerResponse): Exchange {
    let body: Promise<Buffer> | undefined
    const whole = () => (body ??= bodyOf(asked))
    return {
      asked,
      answer,
      body: whole,
      pass: async () => passOn(this.target, asked, await whole()),
      reply: ({ status, headers, body }) => {
        answer.writeHead(status, headers)
        answer.end(body)
      },
    }
  }
}

const forward: Fault = async ({ pass, reply }) => reply(await pass())

/** An answer of somebody's own: of the store, or of what stands before it. */
export function saying(status: number, text: string, headers: Readonly<Record<string, string>> = {}): Fault {
  return async ({ answer, body }) => {
    await body()
    answer.writeHead(status, headers).end(text)
  }
}

/** Cuts the connection in the middle of the request. */
export const cutRequest: Fault = async ({ asked, answer }) => {
  await new Promise((resolve) => asked.once('data', resolve).once('end', resolve))
  answer.destroy()
}

/** Does what was asked, and the answer is lost. */
export const loseAnswer: Fault = async ({ answer, pass }) => {
  await pass()
  answer.destroy()
}

/** Cuts the connection in the middle of the answer. */
export const cutAnswer: Fault = async ({ answer, pass }) => {
  const { status, headers, body } = await pass()
  answer.writeHead(status, headers)
  answer.write(body.subarray(0, Math.ceil(body.length / 2)), () => answer.destroy())
}

/** Takes the request, and never answers. */
export const neverAnswer: Fault = ({ asked }) => void asked.resume()

/** Does not even take the whole request. */
export const neverRead: Fault = ({ asked }) => void asked.pause()

/** Takes its time. */
export function slow(ms: number): Fault {
  return async ({ pass, reply }) => {
    await sleep(ms)
    reply(await pass())
  }
}

/** Holds requests until it is told to go on. */
export function held(until: Promise<unknown>, then: Fault = forward): Fault {
  return async (exchange) => {
    await exchange.body()
    await until
    await then(exchange)
  }
}

async function passOn(port: number, asked: IncomingMessage, body: Buffer): Promise<Passed> {
  return new Promise((resolve, reject) => {
    const { method, url, headers } = asked
    // The whole body is here, and there is nobody who could be told to go on.
    const { expect: _, 'transfer-encoding': __, ...rest } = headers
    const sent = { ...rest, 'content-length': String(body.length) }
    const passed = request({ host: '127.0.0.1', port, method, path: url, headers: sent, agent: false }, (answer) => {
      bodyOf(answer).then(
        (text) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }),
        reject,
      )
    })
    passed.on('error', reject)
    passed.end(body)
  })
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of message) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}
