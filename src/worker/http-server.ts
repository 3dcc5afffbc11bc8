import type { EventEmitter } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { firstValueFrom, Observable } from 'rxjs'
import {
  type HttpReply,
  type HttpRoute,
  type HttpServer,
  type Logger,
  messageOf,
  type StreamMessage,
  WeirError,
} from '../model/index.js'
import { Budget } from './budget.js'
import { correlationIdOf } from './correlation.js'
import { Gate, type GateOptions } from './gate.js'
import { type HttpLimits, httpLimits } from './http-limits.js'
import type { IntakeRequest } from './intake-audit.js'
import { Outbox } from './outbox.js'
import { type Address, reachOf } from './reach.js'
import { Body, BodyError, type ReadBody } from './read-body.js'
import { Turns } from './turns.js'

/** A route, and who serves it. */
interface Served {
  readonly route: HttpRoute
  holders: number
  /** Ends the streams that it answers. */
  readonly streams: Set<() => void>
}

/** A certificate and its key, in PEM. */
export interface Tls {
  readonly cert: string
  readonly key: string
}

export interface PortOptions extends GateOptions {
  readonly tls?: Tls | undefined
  readonly limits?: Partial<HttpLimits> | undefined
  /** Is told what came of each request that was to bring records. */
  readonly took?: ((request: IntakeRequest) => void) | undefined
}

/** What the port holds at present, and whom it has turned away. */
export interface PortStatus {
  readonly connections: number
  readonly bodyBytes: number
  readonly unreadBytes: number
  /** How often, by reason. */
  readonly refused: ReadonlyMap<string, number>
}

/**
 * The one HTTP server of a worker. Fastify takes no routes once it is ready, so it gets one wildcard, and this table
 * of routes decides: a flow's route comes with its source and goes when the flow ends. All that callers can make it hold is
 * bounded in bytes and in time.
 */
export class WorkerHttpServer implements HttpServer {
  /** `undefined` marks a route that was served and will not be again: callers learn that it is down, not unknown. */
  private readonly routes = new Map<string, Served | undefined>()
  private readonly fastify: FastifyInstance
  private readonly gate: Gate
  private readonly bodies: Budget
  private readonly outbox: Outbox
  private readonly refused = new Map<string, number>()
  /** How many records the requests under way have brought. */
  private readonly brought = new WeakMap<FastifyRequest, number>()
  private readonly sockets = new Set<EventEmitter>()
  private readonly sweeping: NodeJS.Timeout

  constructor(
    private readonly log: Logger,
    private readonly options: PortOptions = {},
  ) {
    const limits = { ...httpLimits, ...options.limits }
    this.gate = new Gate(options)
    this.bodies = new Budget(limits.bodyBytes)
    this.outbox = new Outbox(limits, () => performance.now())
    this.fastify = makeServer(limits, options.tls)
    this.watch(this.fastify.server, limits)
    const turns = new Turns(() => this.refuse('requests ahead'))
    this.fastify.addHook('onRequest', (request, reply, done) => {
      reply.header('x-correlation-id', request.id).headers(this.gate.headers(request.raw))
      turns.take(request.raw, reply.raw, done)
    })
    this.fastify.removeAllContentTypeParsers()
    // A body is read by the route that it is for.
    this.fastify.addContentTypeParser('*', (_request, _payload, done) => done(null))
    this.fastify.setErrorHandler((error, request, reply) => this.failed(error, request, reply))
    this.fastify.setNotFoundHandler((request, reply) => this.dispatch(request, reply))
    this.fastify.all('/*', (request, reply) => this.dispatch(request, reply))
    this.sweeping = setInterval(() => this.refuse('slow reader', this.outbox.sweep()), limits.sweepMs).unref()
  }

  serve(route: HttpRoute): Observable<never> {
    const key = `${route.method} ${route.path}`
    return new Observable((subscriber) => {
      const known = this.routes.get(key)
      if (known !== undefined && (route.owner === undefined || route.owner !== known.route.owner)) {
        const hint = 'Give one of the stages another path.'
        return subscriber.error(
          new WeirError('WEIR_HTTP_ROUTE_TAKEN', `serving ${key}: it is served already`, { hint }),
        )
      }
      const served = known ?? { route, holders: 0, streams: new Set<() => void>() }
      served.holders++
      this.routes.set(key, served)
      return () => {
        if (--served.holders > 0) return
        this.routes.set(key, undefined)
        for (const end of [...served.streams]) end()
      }
    })
  }

  /** What the routes of views tell of themselves. */
  views(): readonly object[] {
    return [...this.routes.values()].flatMap((served) => served?.route.view ?? [])
  }

  /** Errors: WEIR_HTTP_PORT_TAKEN. */
  async listen({ host, port }: Address): Promise<Address> {
    try {
      // Of that name Fastify would make two servers, one of which nobody bounds.
      await this.fastify.listen({ host: host === 'localhost' ? '127.0.0.1' : host, port })
    } catch (error) {
      throw new WeirError('WEIR_HTTP_PORT_TAKEN', `listening on port ${port}: ${messageOf(error)}`, {
        hint: 'Stop what uses the port, or set SERVER_PORT (or --port) to another one.',
        cause: error,
      })
    }
    const { port: taken } = this.fastify.server.address() as AddressInfo
    if (reachOf({ host, port }, false).reach === 'loopback') this.gate.keepLocal()
    return { host, port: taken }
  }

  status(): PortStatus {
    const { sockets, bodies, outbox, refused } = this
    return { connections: sockets.size, bodyBytes: bodies.held, unreadBytes: outbox.unreadBytes, refused }
  }

  /** Takes no more connections, and completes the requests under way. */
  async close(): Promise<void> {
    clearInterval(this.sweeping)
    await this.fastify.close()
  }

  private watch(server: Server, { connections }: HttpLimits): void {
    server.maxConnections = connections
    server.on('drop', () => this.refuse('connections'))
    server.on('connection', (socket) => {
      this.sockets.add(socket)
      socket.once('close', () => this.sockets.delete(socket))
    })
  }

  private refuse(reason: string, times = 1): void {
    if (times > 0) this.refused.set(reason, (this.refused.get(reason) ?? 0) + times)
  }

  private find({ method, url }: FastifyRequest): Served | undefined {
    return this.routes.get(`${method === 'HEAD' ? 'GET' : method} ${pathOf(url)}`)
  }

  private async dispatch(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const served = this.find(request)
    const isOpen = served?.route.isOpen === true
    const turned = this.gate.preflight(request.raw) ?? this.gate.refusal(request.raw, isOpen)
    if (turned !== undefined) return this.send(reply, this.told(request, turned))
    if (served === undefined) return this.send(reply, this.told(request, this.missing(request)))
    const answer = this.told(request, await this.answer(served.route, request, reply))
    if (answer.stream$ === undefined || request.method === 'HEAD') return this.send(reply, answer)
    return this.stream(served, reply, answer, answer.stream$)
  }

  private async answer(route: HttpRoute, request: FastifyRequest, reply: FastifyReply): Promise<HttpReply> {
    const { headers, id, url, raw } = request
    const query = Object.fromEntries(new URLSearchParams(url.slice(pathOf(url).length)))
    const hasRead = () => this.outbox.hasRead(reply.raw)
    const asked = { body: undefined, bytes: 0, headers, rawHeaders: raw.rawHeaders, query, correlationId: id, hasRead }
    if (route.method !== 'POST') return firstValueFrom(route.handle(asked))
    const body = new Body(raw, this.bodies)
    try {
      const read = await bodyFor(route, body)
      const brought = (records: number) => void this.brought.set(request, records)
      return await firstValueFrom(route.handle({ ...asked, ...read, brought }))
    } finally {
      body.release()
    }
  }

  /** Has it written down who brought records to a route that takes some, or has. */
  private told(request: FastifyRequest, reply: HttpReply): HttpReply {
    const { took } = this.options
    const route = `${request.method} ${pathOf(request.url)}`
    if (took === undefined || request.method !== 'POST' || !this.routes.has(route)) return reply
    const name = this.gate.nameOf(request.raw)
    const address = request.socket.remoteAddress?.replace(/^::ffff:/, '')
    const { status, refused } = reply
    const { code = refused, accepted } = (reply.body ?? {}) as { readonly code?: string; readonly accepted?: number }
    const records = this.brought.get(request)
    took({ route, correlationId: request.id, caller: { name, address }, status, code, records, accepted })
    return reply
  }

  private send(reply: FastifyReply, { status, headers = {}, body, refused }: HttpReply): FastifyReply {
    if (refused !== undefined) this.refuse(refused)
    const [type, bytes] = contentOf(body)
    const isHead = reply.request.method === 'HEAD'
    const sent = bytes === undefined || isHead ? bytes : this.outbox.body(reply.raw, bytes)
    if (sent === undefined && bytes !== undefined) return this.send(reply, crowded)
    if (bytes !== undefined) reply.header('content-length', bytes.length)
    if (type !== undefined) reply.type(type)
    reply
      .code(status)
      .headers(headers)
      .send(isHead ? '' : sent)
    if (Buffer.isBuffer(sent) && !isHead) this.outbox.sent(reply.raw, sent)
    return reply
  }

  private stream(
    { streams }: Served,
    reply: FastifyReply,
    { status, headers = {} }: HttpReply,
    messages$: Observable<StreamMessage>,
  ): FastifyReply {
    // Its caller left while it was made ready.
    if (reply.raw.closed) return reply.hijack()
    const { outgoing, tell } = this.outbox.stream(reply.raw)
    const end = () => {
      subscription.unsubscribe()
      streams.delete(end)
      outgoing.complete()
    }
    const subscription = messages$.subscribe({
      next: (message) => {
        if (tell(message)) return
        this.refuse('slow reader')
        reply.raw.destroy()
      },
      error: (error: unknown) => {
        this.log.error({ error }, 'answering with a stream')
        reply.raw.destroy()
      },
      complete: () => outgoing.complete(),
    })
    streams.add(end)
    reply.raw.once('close', end)
    // A connection that was kept would hold up a server that closes.
    return reply
      .code(status)
      .headers({ ...headers, connection: 'close' })
      .send(outgoing)
  }

  private missing({ method, url }: FastifyRequest): HttpReply {
    const path = pathOf(url)
    if (this.routes.has(`${method} ${path}`)) {
      return { status: 503, headers: { 'retry-after': '5' }, body: { error: `${path} is not served at the moment` } }
    }
    const methods = [...this.routes.keys()].filter((key) => key.endsWith(` ${path}`)).map((key) => key.split(' ')[0])
    if (methods.length === 0) return { status: 404, body: { error: `there is no ${path} here` } }
    return {
      status: 405,
      headers: { allow: methods.join(', ') },
      body: { error: `${path} takes ${methods.join(', ')}` },
    }
  }

  private failed(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    return this.send(reply, this.told(request, this.replyTo(error, request)))
  }

  private replyTo(error: unknown, request: FastifyRequest): HttpReply {
    const status = statusOf(error)
    if (status === 503 && error instanceof BodyError)
      return { ...crowded, body: { error: error.message }, refused: 'bodies' }
    if (status < 500) return { status, body: { error: messageOf(error) } }
    this.log.error({ error, correlationId: request.id }, `answering ${request.method} ${pathOf(request.url)}`)
    const code = error instanceof WeirError ? { code: error.code } : {}
    return { status, body: { error: 'an unexpected error, see the logs', ...code, correlationId: request.id } }
  }
}

const crowded: HttpReply = {
  status: 503,
  headers: { 'retry-after': '1' },
  body: { error: 'callers have too much left to read' },
  refused: 'unread answers',
}

function makeServer(limits: HttpLimits, tls: Tls | undefined): FastifyInstance {
  const options = {
    logger: false,
    requestIdHeader: false,
    genReqId: ({ headers }: { headers: IncomingHttpHeaders }) => correlationIdOf(headers),
    requestTimeout: limits.requestMs,
    forceCloseConnections: 'idle',
  } as const
  const timing = { headersTimeout: limits.headersMs, connectionsCheckingInterval: limits.sweepMs }
  if (tls === undefined) return Fastify({ ...options, http: timing })
  const https = { ...tls, ...timing, handshakeTimeout: limits.headersMs }
  return Fastify({ ...options, https })
}

async function bodyFor({ takes, bodyLimit, depthLimit }: HttpRoute, body: Body): Promise<ReadBody> {
  return takes === 'bytes' ? body.bytes(bodyLimit) : body.json(bodyLimit, depthLimit)
}

/** Text and bytes go out as they are, anything else as JSON. */
function contentOf(body: unknown): readonly [type: string | undefined, bytes: Buffer | undefined] {
  if (body === undefined || Buffer.isBuffer(body)) return [undefined, body]
  if (typeof body === 'string') return ['text/plain; charset=utf-8', Buffer.from(body)]
  return ['application/json; charset=utf-8', Buffer.from(`${JSON.stringify(body)}\n`)]
}

function statusOf(error: unknown): number {
  const status = typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : undefined
  return typeof status === 'number' ? status : 500
}

function pathOf(url: string): string {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}
