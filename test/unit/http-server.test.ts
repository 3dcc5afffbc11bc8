import { createServer, request } from 'node:http'
import { concat, defer, finalize, Observable, of, Subject, throwError } from 'rxjs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type HttpRequest, type HttpRoute, silentLogger } from '../../src/model/index.js'
import { correlationIdOf } from '../../src/worker/correlation.js'
import { WorkerHttpServer } from '../../src/worker/http-server.js'

let server: WorkerHttpServer
let url: string
beforeEach(async () => {
  server = new WorkerHttpServer(silentLogger)
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
  url = `http://127.0.0.1:${port}`
})
afterEach(() => server.close())

const echo: HttpRoute = {
  method: 'POST',
  path: '/echo',
  bodyLimit: 100,
  handle: ({ body, bytes, correlationId }: HttpRequest) => of({ status: 200, body: { body, bytes, correlationId } }),
}

async function post(
  body: NonNullable<RequestInit['body']>,
  headers: Record<string, string> = { 'content-type': 'application/json' },
  path = '/echo',
) {
  const response = await fetch(url + path, {
    method: 'POST',
    body,
    headers,
    ...(typeof body === 'object' ? { duplex: 'half' } : {}),
  })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  }
}

describe('a route', () => {
  test('is served while it is subscribed, and is 503 afterwards', async () => {
    expect((await post('1')).status).toBe(404)
    const subscription = server.serve(echo).subscribe()
    expect(await post('{"a":1}')).toMatchObject({ status: 200, body: { body: { a: 1 }, bytes: 7 } })
    subscription.unsubscribe()
    const gone = await post('1')
    expect(gone.status).toBe(503)
    expect(gone.headers.get('retry-after')).toBe('5')
    server.serve(echo).subscribe()
    expect((await post('1')).status).toBe(200)
  })

  test('can be taken only once', () => {
    const errors: unknown[] = []
    server.serve(echo).subscribe()
    server.serve(echo).subscribe({ error: (error: unknown) => errors.push(error) })
    expect(errors).toMatchObject([
      { code: 'WEIR_HTTP_ROUTE_TAKEN', message: 'serving POST /echo: it is served already' },
    ])
  })

  test('of another method is 405 and names the right one', async () => {
    server.serve(echo).subscribe()
    const response = await fetch(`${url}/echo`)
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('POST')
  })

  test('is found with a query', async () => {
    server.serve(echo).subscribe()
    expect((await post('1', undefined, '/echo?a=b')).status).toBe(200)
  })

  test('that fails is 500 with the correlation id and without the reason', async () => {
    server.serve({ ...echo, handle: () => throwError(() => new Error('inner secret')) }).subscribe()
    const { status, body } = await post('1', { 'x-correlation-id': 'c7' })
    expect({ status, body }).toEqual({
      status: 500,
      body: { error: 'an unexpected error, see the logs', correlationId: 'c7' },
    })
  })

  test('goes on with a request whose caller hung up', async () => {
    let handled = 0
    let ended = 0
    const handle = () => new Observable<never>(() => (handled++, () => ended++))
    server.serve({ ...echo, handle }).subscribe()
    await new Promise<void>((resolve) => {
      const sent = request(`${url}/echo`, { method: 'POST' })
      sent.on('error', () => resolve())
      sent.end('1')
      void expect
        .poll(() => handled)
        .toBe(1)
        .then(() => sent.destroy(new Error('hung up')))
    })
    expect({ handled, ended }).toEqual({ handled: 1, ended: 0 })
  })
})

describe('routes of one owner', () => {
  const shared = { ...echo, method: 'GET', path: '/shared', owner: 'the view', view: { path: '/shared' } } as const

  test('are one route, which ends with the last of them', async () => {
    const [one, two] = [server.serve(shared).subscribe(), server.serve(shared).subscribe()]
    expect(server.views()).toEqual([{ path: '/shared' }])
    one.unsubscribe()
    expect((await fetch(`${url}/shared`)).status).toBe(200)
    two.unsubscribe()
    expect((await fetch(`${url}/shared`)).status).toBe(503)
    expect(server.views()).toEqual([])
  })

  test('are no route for another', () => {
    const errors: unknown[] = []
    server.serve(shared).subscribe()
    server.serve({ ...shared, owner: 'another' }).subscribe({ error: (error: unknown) => errors.push(error) })
    expect(errors).toMatchObject([{ code: 'WEIR_HTTP_ROUTE_TAKEN' }])
  })
})

describe('a stream', () => {
  const lines$ = new Subject<string>()
  let open = 0
  const stream$ = defer(() => {
    open++
    return concat(of('begun\n'), lines$).pipe(finalize(() => open--))
  })
  const streaming: HttpRoute = {
    ...echo,
    method: 'GET',
    path: '/lines',
    handle: ({ query }) =>
      of({ status: 200, headers: { 'content-type': 'text/plain', asked: query['a'] ?? '' }, stream$ }),
  }

  test('is sent as it comes, until it completes or the caller hangs up', async () => {
    const route = server.serve(streaming).subscribe()
    const leaving = new AbortController()
    const [one, two] = await Promise.all([
      fetch(`${url}/lines?a=b&a=c`),
      fetch(`${url}/lines`, { signal: leaving.signal }),
    ])
    expect([open, one.headers.get('asked')]).toEqual([2, 'c'])
    const reader = one.body?.getReader()
    const next = async () => new TextDecoder().decode((await reader?.read())?.value)
    expect(await next()).toBe('begun\n')
    lines$.next('first\n')
    expect(await next()).toBe('first\n')
    leaving.abort()
    await expect(two.text()).rejects.toThrow()
    await expect.poll(() => open).toBe(1)
    route.unsubscribe()
    expect((await reader?.read())?.done).toBe(true)
    expect(open).toBe(0)
  })

  test('of a caller who does not read is cut off', async () => {
    server.serve(streaming).subscribe()
    const idle = request(`${url}/lines`, (response) => response.pause())
    idle.on('error', () => undefined)
    idle.end()
    await expect.poll(() => open).toBe(1)
    const megabyte = 'x'.repeat(1 << 20)
    // The systems between the two hold some megabytes.
    for (let sent = 0; open > 0 && sent < 64; sent++) {
      lines$.next(megabyte)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(open).toBe(0)
  })
})

describe('a body', () => {
  beforeEach(() => void server.serve(echo).subscribe())

  test('that is no JSON is 400', async () => {
    expect(await post('{"a":')).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('the body is no JSON') },
    })
    expect((await post('')).status).toBe(400)
  })

  test('that is not UTF-8 is 400', async () => {
    expect((await post(new Uint8Array([0x22, 0xff, 0x22]))).status).toBe(400)
  })

  test.each([
    { depthLimit: undefined, depth: 100 },
    { depthLimit: 10, depth: 10 },
  ])('that nests deeper than its route takes is 400, and $depth levels are not', async ({ depthLimit, depth }) => {
    const deep = { ...echo, path: '/deep', bodyLimit: 100_000, ...(depthLimit === undefined ? {} : { depthLimit }) }
    server.serve(deep).subscribe()
    const nested = (levels: number) => `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`
    const json = { 'content-type': 'application/json' }
    for (const levels of [depth + 1, 5_000]) {
      expect(await post(nested(levels), json, '/deep')).toMatchObject({
        status: 400,
        body: { error: `the body nests deeper than ${depth} levels` },
      })
    }
    expect((await post(nested(depth), json, '/deep')).status).toBe(200)
  })

  test('above the limit is 413, whether its length is announced or not', async () => {
    const text = JSON.stringify('x'.repeat(3_000_000))
    expect(await post(text)).toMatchObject({ status: 413, body: { error: 'the body is larger than 100 bytes' } })
    expect((await post(new Blob([text]).stream())).status).toBe(413)
    expect((await post(JSON.stringify('x'.repeat(98)))).status).toBe(200)
    expect((await post(JSON.stringify('x'.repeat(99)))).status).toBe(413)
  })

  test('in chunks is counted as it comes', async () => {
    expect(await post(new Blob(['{"a":2}']).stream())).toMatchObject({
      status: 200,
      body: { body: { a: 2 }, bytes: 7 },
    })
  })

  test.each(['application/json; charset=utf-8', 'application/vnd.api+json', 'text/plain;charset=UTF-8'])(
    'may be %s',
    async (type) => {
      expect((await post('1', { 'content-type': type })).status).toBe(200)
    },
  )

  test('of another type or encoding is 415', async () => {
    expect((await post('a=1', { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(415)
    expect((await post('1', { 'content-encoding': 'gzip' })).status).toBe(415)
  })
})

describe('a body that is taken as bytes', () => {
  const bytes: HttpRoute = {
    ...echo,
    takes: 'bytes',
    handle: ({ body, rawHeaders }) =>
      of({
        status: 200,
        body: {
          hex: (body as Buffer).toString('hex'),
          twice: rawHeaders.filter((each) => /^x-twice$/i.test(each)).length,
        },
      }),
  }
  beforeEach(() => void server.serve(bytes).subscribe())

  test('may be of any content type, and comes with its headers as they were sent', async () => {
    const { port } = new URL(url)
    const answer = await new Promise<string>((resolve, reject) => {
      const headers = [
        'Content-Type',
        'application/x',
        'X-Twice',
        '1',
        'x-twice',
        '2',
        'host',
        'localhost',
        'content-length',
        '2',
      ]
      const sent = request({ port, path: '/echo', method: 'POST', headers }, (response) => {
        response.setEncoding('utf8').on('data', resolve)
      })
      sent.on('error', reject).end(Buffer.from([0, 255]))
    })
    expect(JSON.parse(answer)).toEqual({ hex: '00ff', twice: 2 })
    expect((await post('', {})).body).toMatchObject({ hex: '' })
  })

  test('is bounded, and not encoded', async () => {
    expect((await post('x'.repeat(101), {})).status).toBe(413)
    expect((await post('1', { 'content-encoding': 'gzip' })).status).toBe(415)
  })
})

describe('the correlation id', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

  test.each([
    [{ 'x-correlation-id': 'a', traceparent, 'x-request-id': 'b' }, 'a'],
    [{ traceparent, 'x-request-id': 'b' }, '0af7651916cd43dd8448eb211c80319c'],
    [{ traceparent: 'nonsense', 'x-request-id': 'b' }, 'b'],
    [{ 'x-correlation-id': 'a b', 'x-request-id': 'b' }, 'b'],
  ])('of %j is %s', (headers, id) => expect(correlationIdOf(headers)).toBe(id))

  test('is made when there is none, and told to the caller', async () => {
    server.serve(echo).subscribe()
    const { headers, body } = await post('1')
    expect(body['correlationId']).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/)
    expect(headers.get('x-correlation-id')).toBe(body['correlationId'])
    expect((await post('1', { 'x-correlation-id': 'mine' })).headers.get('x-correlation-id')).toBe('mine')
  })
})

test('a port that is taken is told, with what to do', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => taken.once('listening', resolve))
  const { port } = taken.address() as { port: number }
  const other = new WorkerHttpServer(silentLogger)
  await expect(other.listen({ host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'WEIR_HTTP_PORT_TAKEN',
    hint: expect.stringContaining('SERVER_PORT'),
  })
  taken.close()
  await other.close()
})
