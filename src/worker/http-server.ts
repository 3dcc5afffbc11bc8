import type { IncomingHttpHeaders } from 'node:http'
import { PassThrough } from 'node:stream'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { firstValueFrom, Observable } from 'rxjs'
import { type HttpReply, type HttpRoute, type HttpServer, type Logger, messageOf, WeirError } from '../model/index.js'
import { correlationIdOf } from './correlation.js'
import { readJson } from './read-json.js'

/** How much may wait for a slow caller of a stream, bytes. */
const mostWaiting = 1 << 20

/** A route, and who serves it. */
interface Served {
  readonly route: HttpRoute
  holders: number
  /** Ends the streams that it answers. */
  readonly streams: Set<() => void>
}

export interface Address {
  readonly host: string
  readonly port: number
}

/**
 * The one HTTP server of a worker. Fastify takes no routes once it is ready, so it gets one wildcard, and this table
 * of routes decides: a flow's route comes with its source and goes when the flow ends.
 */
export class WorkerHttpServer implements HttpServer {
  /** `undefined` marks a route that was served and will not be again: callers learn that it is down, not unknown. */
  private readonly routes = new Map<string, Served | undefined>()
  private readonly fastify: FastifyInstance

  constructor(private readonly log: Logger) {
    this.fastify = Fastify({
      logger: false,
      requestIdHeader: false,
      genReqId: ({ headers }: { headers: IncomingHttpHeaders }) => correlationIdOf(headers),
      requestTimeout: 60_000,
      forceCloseConnections: 'idle',
    })
    this.fastify.addHook('onRequest', async (request, reply) => {
      reply.header('x-correlation-id', request.id)
    })
    this.fastify.removeAllContentTypeParsers()
    this.fastify.addContentTypeParser('*', async (request: FastifyRequest, payload: NodeJS.ReadableStream) => {
      const served = this.find(request)
      return served === undefined ? undefined : readJson(request.headers, payload, served.route.bodyLimit)
    })
    this.fastify.setErrorHandler((error, request, reply) => this.failed(error, request, reply))
    this.fastify.setNotFoundHandler((request, reply) => this.dispatch(request, reply))
    this.fastify.all('/*', (request, reply) => this.dispatch(request, reply))
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
      await this.fastify.listen({ host, port })
    } catch (error) {
      throw new WeirError('WEIR_HTTP_PORT_TAKEN', `listening on port ${port}: ${messageOf(error)}`, {
        hint: 'Stop what uses the port, or set SERVER_PORT (or --port) to another one.',
        cause: error,
      })
    }
    const address = this.fastify.server.address()
    return { host, port: typeof address === 'object' && address !== null ? address.port : port }
  }

  /** Takes no more connections, and completes the requests under way. */
  async close(): Promise<void> {
    await this.fastify.close()
  }

  private find({ method, url }: FastifyRequest): Served | undefined {
    return this.routes.get(`${method === 'HEAD' ? 'GET' : method} ${pathOf(url)}`)
  }

  private async dispatch(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const served = this.find(request)
    if (served === undefined) return send(reply, this.missing(request))
    const { headers, body, id, url } = request
    const bytes = Number(headers['content-length'] ?? 0)
    const query = Object.fromEntries(new URLSearchParams(url.slice(pathOf(url).length)))
    const answer = await firstValueFrom(served.route.handle({ body, bytes, headers, query, correlationId: id }))
    if (answer.stream$ === undefined || request.method === 'HEAD') return send(reply, answer)
    return this.stream(served, reply, answer, answer.stream$)
  }

  private stream(
    { streams }: Served,
    reply: FastifyReply,
    { status, headers = {} }: HttpReply,
    text$: Observable<string>,
  ): FastifyReply {
    const sent = new PassThrough()
    const end = () => {
      subscription.unsubscribe()
      streams.delete(end)
      sent.end()
    }
    const subscription = text$.subscribe({
      next: (text) => {
        sent.write(text)
        if (sent.writableLength + sent.readableLength + reply.raw.writableLength > mostWaiting) reply.raw.destroy()
      },
      error: (error: unknown) => {
        this.log.error({ error }, 'answering with a stream')
        reply.raw.destroy()
      },
      complete: () => sent.end(),
    })
    streams.add(end)
    reply.raw.once('close', end)
    // A connection that was kept would hold up a server that closes.
    return reply
      .code(status)
      .headers({ ...headers, connection: 'close' })
      .send(sent)
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
    const status = statusOf(error)
    if (status < 500) return send(reply, { status, body: { error: messageOf(error) } })
    this.log.error({ error, correlationId: request.id }, `answering ${request.method} ${pathOf(request.url)}`)
    return send(reply, { status, body: { error: 'an unexpected error, see the logs', correlationId: request.id } })
  }
}

function send(reply: FastifyReply, { status, headers = {}, body }: HttpReply): FastifyReply {
  if (body === undefined || Buffer.isBuffer(body)) return reply.code(status).headers(headers).send(body)
  const text = typeof body === 'string' ? body : `${JSON.stringify(body)}\n`
  const type = typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json; charset=utf-8'
  return reply.code(status).type(type).headers(headers).send(text)
}

function statusOf(error: unknown): number {
  const status = typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : undefined
  return typeof status === 'number' ? status : 500
}

function pathOf(url: string): string {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}
