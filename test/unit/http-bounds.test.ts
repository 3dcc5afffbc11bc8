import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { request as secureRequest } from 'node:https'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defer, map, NEVER, of, Subject, startWith } from 'rxjs'
import { afterEach, describe, expect, test } from 'vitest'
import {
  type HttpReply,
  type HttpRoute,
  type HttpServer,
  silentLogger,
  traceParentOf,
  traceStateOf,
} from '../../src/model/index.js'
import { Answers } from '../../src/sinks/view/answers.js'
import { type PortOptions, WorkerHttpServer } from '../../src/worker/http-server.js'
import { createMetrics } from '../../src/worker/metrics.js'

const mebibyte = 1 << 20
/** For machines that are busy. */
const patience = { timeout: 90_000 }
const ended: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end()
})

async function listening(options: PortOptions, ...routes: HttpRoute[]) {
  const server = new WorkerHttpServer(silentLogger, options)
  ended.push(() => server.close())
  for (const route of routes) serve(server, route)
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
  const refusals = (reason: string) => server.status().refused.get(reason) ?? 0
  return { server, port, url: `http://127.0.0.1:${port}`, refusals }
}

function serve(server: HttpServer, route: HttpRoute): void {
  const subscription = server.serve(route).subscribe()
  ended.push(() => subscription.unsubscribe())
}

const taking: HttpRoute = { method: 'POST', path: '/events', bodyLimit: mebibyte, handle: () => of({ status: 202 }) }
const showing = (body: unknown, path = '/large'): HttpRoute => ({
  method: 'GET',
  path,
  bodyLimit: 0,
  handle: () => of({ status: 200, body }),
})

/** A connection that sends what it is told, and what became of it. */
function socketTo(port: number, text = ''): { readonly socket: Socket; isOver: boolean } {
  const socket = connect(port, '127.0.0.1')
  const about = { socket, isOver: false }
  socket.on('error', () => undefined).resume()
  socket.on('close', () => {
    about.isOver = true
  })
  if (text !== '') socket.write(text)
  ended.push(() => socket.destroy())
  return about
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`

describe('bodies', () => {
  const half = (bytes: number) =>
    `POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${mebibyte}\r\n\r\n"${'x'.repeat(bytes)}`

  test('that are half sent take no more than their share together, and callers are told to come again', async () => {
    const { server, port, url, refusals } = await listening({ limits: { bodyBytes: 4 * mebibyte } }, taking)
    for (let i = 0; i < 12; i++) socketTo(port, half(mebibyte / 2))
    await expect.poll(() => refusals('bodies'), patience).toBeGreaterThan(2)
    expect(server.status().bodyBytes).toBeLessThanOrEqual(4 * mebibyte)
    const body = JSON.stringify('x'.repeat(mebibyte / 2))
    const response = await fetch(`${url}/events`, { method: 'POST', body })
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
  })

  test('that come too slowly are cut off, and what they took is free again', async () => {
    const limits = { requestMs: 3_000, headersMs: 2_000, sweepMs: 50 }
    const { server, port, url } = await listening({ limits }, taking)
    const slow = socketTo(port, half(1_000))
    await expect.poll(() => server.status().bodyBytes, patience).toBeGreaterThan(0)
    await expect.poll(() => slow.isOver, patience).toBe(true)
    await expect.poll(() => server.status().bodyBytes, patience).toBe(0)
    expect((await fetch(`${url}/events`, { method: 'POST', body: '1' })).status).toBe(202)
  })

  test('that end early free what they took', async () => {
    const { server, port } = await listening({}, taking)
    const { socket } = socketTo(port, half(1_000))
    await expect.poll(() => server.status().bodyBytes, patience).toBeGreaterThan(0)
    socket.destroy()
    await expect.poll(() => server.status().bodyBytes, patience).toBe(0)
  })
})

describe('connections', () => {
  test('are bounded in number, and counted', async () => {
    const { server, port, refusals } = await listening({ limits: { connections: 5 } }, taking)
    const sockets = Array.from({ length: 9 }, () => socketTo(port))
    await expect.poll(() => sockets.filter(({ isOver }) => isOver).length, patience).toBe(4)
    expect([server.status().connections, refusals('connections')]).toEqual([5, 4])
  })

  test('that say nothing are closed', async () => {
    const { port } = await listening({ limits: { headersMs: 100, requestMs: 200, sweepMs: 50 } }, taking)
    const silent = [socketTo(port), socketTo(port, 'GET /ev')]
    await expect.poll(() => silent.every(({ isOver }) => isOver), patience).toBe(true)
  })
})

describe('answers that nobody reads', () => {
  test('take no more than their share together, each only once', async () => {
    const limits = { unreadBytes: 40 * mebibyte, stalledMs: 60_000 }
    const large = Array.from({ length: 4 }, (_, i) => showing(Buffer.alloc(16 * mebibyte, i), `/large${i}`))
    const { server, port, url, refusals } = await listening({ limits }, ...large)
    for (let i = 0; i < 8; i++) socketTo(port, get('/large0')).socket.pause()
    await expect.poll(() => server.status().unreadBytes, patience).toBe(16 * mebibyte)
    socketTo(port, get('/large1')).socket.pause()
    await expect.poll(() => server.status().unreadBytes, patience).toBe(32 * mebibyte)
    const response = await fetch(`${url}/large2`)
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(refusals('unread answers')).toBe(1)
    expect((await (await fetch(`${url}/large0`)).arrayBuffer()).byteLength).toBe(16 * mebibyte)
  })

  test('are cut off after a while, and those that are read are not', async () => {
    const limits = { stalledMs: 2_000, sweepMs: 50 }
    const { server, port, url, refusals } = await listening({ limits }, showing('x'.repeat(30 * mebibyte)))
    const unread = socketTo(port, get('/large'))
    unread.socket.pause()
    const read = await fetch(`${url}/large`)
    expect((await read.text()).length).toBe(30 * mebibyte)
    await expect.poll(() => refusals('slow reader'), patience).toBe(1)
    await expect.poll(() => server.status(), patience).toMatchObject({ unreadBytes: 0 })
  })

  test('are cut off, too, when they are read at a trickle', async () => {
    const limits = { behindMs: 300, bytesPerMs: 1 << 20, sweepMs: 50 }
    const { port, refusals } = await listening({ limits }, showing(Buffer.alloc(30 * mebibyte)))
    const { socket } = socketTo(port, get('/large'))
    socket.pause()
    const trickle = setInterval(() => socket.read(1), 20)
    ended.push(() => clearInterval(trickle))
    await expect.poll(() => refusals('slow reader'), patience).toBe(1)
  })

  test('have the length of what is sent, which HEAD tells as well', async () => {
    const { url } = await listening({}, showing('x'.repeat(mebibyte)))
    const head = await fetch(`${url}/large`, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(mebibyte)])
  })
})

describe('callers that', () => {
  const stream$ = NEVER.pipe(startWith('x'.repeat(mebibyte)))

  test('send requests ahead wait for one answer after the other, behind a stream for as long as it lasts', async () => {
    const streams: HttpRoute = { ...showing(undefined, '/stream'), handle: () => of({ status: 200, stream$ }) }
    const { server, port, url } = await listening({}, streams, showing(Buffer.alloc(mebibyte)))
    const { socket } = socketTo(port, get('/stream') + get('/large').repeat(50))
    await expect.poll(() => socket.bytesRead, patience).toBeGreaterThan(mebibyte)
    await expect.poll(() => server.status().unreadBytes, patience).toBe(0)
    socket.destroy()
    expect((await fetch(`${url}/large`)).status).toBe(200)
    await expect.poll(() => server.status(), patience).toMatchObject({ unreadBytes: 0 })
  })

  test('send them ahead are all answered, in their order', async () => {
    const { port } = await listening({}, showing('first', '/1'), showing('second', '/2'))
    const { socket } = socketTo(port, get('/1') + get('/2').repeat(20) + get('/1'))
    let heard = ''
    socket.on('data', (bytes) => (heard += String(bytes)))
    await expect
      .poll(() => heard.match(/first|second/g), patience)
      .toEqual(['first', ...Array(20).fill('second'), 'first'])
  })

  test('send too many ahead are cut off, and leave nothing behind', async () => {
    const { server, port, url, refusals } = await listening({}, showing(Buffer.alloc(60_000)))
    const { socket } = socketTo(port, get('/large').repeat(2_000))
    socket.pause()
    await expect.poll(() => refusals('requests ahead'), patience).toBe(1)
    await expect.poll(() => server.status(), patience).toMatchObject({ connections: 0, unreadBytes: 0 })
    expect((await fetch(`${url}/large`)).status).toBe(200)
  })

  test('leave before they are answered take nothing with them', async () => {
    const ready = new Subject<void>()
    let asked = 0
    const answered = (reply: HttpReply) => () => {
      asked++
      return ready.pipe(map(() => reply))
    }
    let isHeard = false
    const told$ = defer(() => {
      isHeard = true
      return stream$
    })
    const { server, port } = await listening(
      {},
      { ...showing(undefined, '/stream'), handle: answered({ status: 200, stream$: told$ }) },
      { ...showing(undefined), handle: answered({ status: 200, body: Buffer.alloc(mebibyte) }) },
    )
    const leaving = ['/stream', '/large'].map((path) => socketTo(port, get(path)))
    await expect.poll(() => asked, patience).toBe(2)
    for (const { socket } of leaving) socket.destroy()
    await expect.poll(() => server.status().connections, patience).toBe(0)
    ready.next()
    await new Promise(setImmediate)
    expect([server.status().unreadBytes, isHeard]).toEqual([0, false])
  })
})

test('a stream whose first message is large reaches who reads it', async () => {
  const message = 'x'.repeat(20 * mebibyte)
  const { url } = await listening(
    {},
    {
      ...showing(undefined),
      handle: () => of({ status: 200, stream$: NEVER.pipe(startWith('begun\n', [Buffer.from(message), '\nend'])) }),
    },
  )
  const text = await new Promise<string>((resolve) => {
    let heard = ''
    const sent = request(`${url}/large`, (response) => {
      response.setEncoding('utf8').on('data', (part: string) => {
        heard += part
        if (part.endsWith('end')) resolve(heard)
      })
      response.on('error', () => undefined)
    })
    ended.push(() => sent.destroy())
    sent.end()
  })
  expect(text.length).toBe('begun\n'.length + message.length + '\nend'.length)
})

test('what the port holds, and whom it turned away, can be scraped', async () => {
  const { server, url } = await listening({ token: 'a token of some length' }, taking)
  await fetch(`${url}/events`, { method: 'POST', body: '1' })
  const metrics = createMetrics(
    () => [],
    () => 0,
    () => server.status(),
  )
  const text = await metrics.scrape()
  metrics.close()
  expect(text).toMatch(/weir_http_connections \d/)
  expect(text).toContain('weir_http_body_bytes 0')
  expect(text).toContain('weir_http_unread_bytes')
  expect(text).toContain('weir_http_refused_total{reason="token"} 1')
})

describe('answers of a view', () => {
  const rows = new Map(Array.from({ length: 500 }, (_, i) => [`key-${i}-${'x'.repeat(2_000)}`, i]))
  const content = (tag: string) => ({ tag, tables: new Map([['t', rows]]) })

  test('are remembered within bounds of bytes, whatever number of keys is asked for', () => {
    const answers = new Answers(undefined)
    const held = new Set<object>()
    for (let top = 400; top < 450; top++) held.add(answers.of(content('a'), `${top}`, {}, top))
    const again = [...held].filter((answer, i) => answers.of(content('a'), `${400 + i}`, {}, 400 + i) === answer)
    expect(again.length).toBeLessThan(30)
    const last = answers.of(content('a'), 'last', {}, 5)
    expect(answers.of(content('a'), 'last', {}, 5)).toBe(last)
  })

  test('that streams hold are not made again, however large they are', () => {
    let made = 0
    const answers = new Answers((table) => {
      made++
      return { t: table('t') }
    })
    const ask = (top: number) => answers.of(content('a'), `${top}`, {}, top)
    // Together they are more than is remembered.
    const tops = Array.from({ length: 60 }, (_, index) => 400 + index)
    for (const top of tops) answers.tell(ask(top), undefined)
    const held = tops.map(ask)
    expect(made).toBe(tops.length)
    expect(new Set(held).size).toBe(tops.length)
  })

  test('that streams compare with are bounded, and never fewer than the old and the new one', () => {
    const answers = new Answers(undefined)
    const made = Array.from({ length: 90 }, (_, top) => answers.of(content('a'), `${top}`, {}, 400 + top))
    const told = made.filter((answer) => answers.tell(answer, undefined))
    expect(told.length).toBeGreaterThan(2)
    expect(told.length).toBeLessThan(85)
    for (const answer of told) answers.untell(answer)
    expect(answers.isCrowded).toBe(false)
    expect(made.slice(0, 3).map((answer) => answers.tell(answer, undefined))).toEqual([true, true, true])
  })
})

describe('a traceparent', () => {
  const [trace, parent] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']

  test.each([
    [`00-${trace}-${parent}-01`, `00-${trace}-${parent}-01`],
    [`01-${trace}-${parent}-01-more`, `00-${trace}-${parent}-01`],
    [`00-${trace}-${parent}-01-more`, undefined],
    [`01-${trace}-${parent}-01-${'x'.repeat(400)}`, undefined],
    [`ff-${trace}-${parent}-01`, undefined],
    [`00-${'0'.repeat(32)}-${parent}-01`, undefined],
    [`00-${trace}-${'0'.repeat(16)}-01`, undefined],
    [`00-${trace.toUpperCase()}-${parent}-01`, undefined],
    [`00-${trace}-${parent}`, undefined],
  ])('given as %j is passed on as %j', (given, passed) => expect(traceParentOf(given)?.text).toBe(passed))
})

describe('a tracestate', () => {
  const many = Array.from({ length: 33 }, (_, index) => `k${index}=v`).join(',')

  test.each([
    ['rojo=00f067aa0ba902b7,congo=t61rcWkgMzE', 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'],
    [['a=1', 'b=2'], 'a=1,b=2'],
    ['a=1 ,, \tb=2', 'a=1,b=2'],
    ['tenant@vendor=a b', 'tenant@vendor=a b'],
    ['1a-_*/=x', '1a-_*/=x'],
    [many.slice(0, many.lastIndexOf(',')), many.slice(0, many.lastIndexOf(','))],
    [many, undefined],
    ['a=1,a=2', undefined],
    ['A=1', undefined],
    ['a=', undefined],
    ['a=x=y', undefined],
    ['a=ü', undefined],
    [`a=${'x'.repeat(257)}`, undefined],
    ['', undefined],
    [undefined, undefined],
  ])('given as %j is passed on as %j', (given, passed) => expect(traceStateOf(given)).toBe(passed))
})

describe('the port', () => {
  const open = { ...showing('well', '/health'), isOpen: true }

  test('asks for its token everywhere but where a route is open', async () => {
    const token = 'a token of some length'
    const { url } = await listening({ token }, taking, open)
    const post = (headers: Record<string, string>) => fetch(`${url}/events`, { method: 'POST', body: '1', headers })
    const bare = await post({})
    expect([bare.status, bare.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    expect((await post({ authorization: 'Bearer another' })).status).toBe(401)
    expect((await post({ authorization: `Basic ${token}` })).status).toBe(401)
    expect((await post({ authorization: `Bearer ${token}` })).status).toBe(202)
    expect((await fetch(`${url}/health`)).status).toBe(200)
    expect((await fetch(`${url}/nothing`)).status).toBe(401)
  })

  test('is closed to pages of other origins than those it knows', async () => {
    const { url } = await listening({ origins: ['https://shop.example'] }, taking, showing('x', '/stats'))
    const from = (origin: string, method = 'POST', more = {}) =>
      fetch(url + (method === 'GET' ? '/stats' : '/events'), {
        method,
        headers: { origin, ...more },
        ...(method === 'POST' ? { body: '1' } : {}),
      })
    expect((await from('https://evil.example')).status).toBe(403)
    expect((await from('null')).status).toBe(403)
    expect((await from('https://evil.example', 'GET')).status).toBe(403)
    const known = await from('https://shop.example')
    expect([known.status, known.headers.get('access-control-allow-origin')]).toEqual([202, 'https://shop.example'])
    expect((await from(url)).status).toBe(202)
    const asking = { 'access-control-request-method': 'POST' }
    expect((await from('https://shop.example', 'OPTIONS', asking)).status).toBe(204)
    expect((await from('https://evil.example', 'OPTIONS', asking)).status).toBe(403)
  })

  test('that knows no origin takes nothing from the pages of others', async () => {
    const { url } = await listening({}, taking)
    const post = (headers: Record<string, string>) => fetch(`${url}/events`, { method: 'POST', body: '1', headers })
    expect((await post({ origin: 'https://evil.example' })).status).toBe(403)
    expect((await post({})).status).toBe(202)
  })

  test('of this machine alone is closed to pages whose name leads here', async () => {
    const asked = async (options: PortOptions, host: string) => {
      const { port } = await listening(options, open)
      return new Promise<number | undefined>((resolve, reject) => {
        const headers = {
          host: host.replace('PORT', String(port)),
          origin: `http://${host.replace('PORT', String(port))}`,
        }
        const sent = request({ host: '127.0.0.1', port, path: '/health', headers, agent: false }, (response) => {
          resolve(response.resume().statusCode)
        })
        sent.on('error', reject).end()
      })
    }
    expect(await asked({}, 'evil.example:PORT')).toBe(403)
    expect(await asked({}, 'localhost.evil.example')).toBe(403)
    for (const own of ['localhost:PORT', '127.0.0.1:PORT', '[::1]:PORT', 'a.localhost'])
      expect(await asked({}, own)).toBe(200)
    expect(await asked({ origins: ['http://shop.example'] }, 'shop.example')).toBe(200)
    expect(await asked({ token: 'a token of some length' }, 'shop.example')).toBe(200)
  })

  test('speaks TLS with a certificate', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weir-tls-'))
    ended.push(() => rmSync(folder, { recursive: true }))
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...subject],
      {
        stdio: 'ignore',
      },
    )
    const tls = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
    const { port } = await listening({ tls }, showing('secret', '/stats'))
    const text = await new Promise<string>((resolve, reject) => {
      const sent = secureRequest(
        { host: '127.0.0.1', port, path: '/stats', ca: tls.cert, agent: false },
        (response) => {
          response.setEncoding('utf8').on('data', resolve)
        },
      )
      sent.on('error', reject)
      sent.end()
    })
    expect(text).toBe('secret')
    await expect(fetch(`http://127.0.0.1:${port}/stats`)).rejects.toThrow()
  })
})
