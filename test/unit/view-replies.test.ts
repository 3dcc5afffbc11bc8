import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { firstValueFrom, type Subscription, VirtualTimeScheduler } from 'rxjs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Clock, type HttpReply, silentLogger, systemClock, type ViewTables } from '../../src/model/index.js'
import { Answers, type ReadTable } from '../../src/sinks/view/answers.js'
import { Recent } from '../../src/sinks/view/recent.js'
import { viewRoutes } from '../../src/sinks/view/routes.js'
import { MemoryViews } from '../../src/state/index.js'
import { WorkerHttpServer } from '../../src/worker/http-server.js'

const part = { view: 'app/stats', part: 'p', generation: 1, task: 't', total: 1 }

/** A view whose commits each put their number into every key. */
class Numbered {
  readonly views = new MemoryViews()
  made = 0
  private commits = 0

  constructor() {
    this.views.claim(part).subscribe()
    this.commit()
  }

  commit(): number {
    const value = ++this.commits
    const rows = Array.from({ length: 200 }, (_, index) => ({ table: 'numbers', key: `key ${index}`, value }))
    const at = value * 1_000
    this.views.write({ ...part, sequence: value, replaces: false, rows, removed: [], at }).subscribe()
    return value
  }

  routes(clock: Clock) {
    const recent = new Recent(this.views, part.view, clock, silentLogger)
    recent.opened()
    const answer = (table: ReadTable) => {
      this.made++
      return { numbers: table('numbers') }
    }
    const query = z.strictObject({ word: z.string().optional() })
    return viewRoutes({ path: '/stats', answer, query, everyMs: 250, recent, clock, about: {} })
  }
}

const etagOf = (body: Buffer) => `W/"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`

describe('replies of a view', () => {
  /** What is done, and after how long. */
  const step = fc.record({
    afterMs: fc.constantFrom(0, 10, 100, 260),
    commits: fc.nat(2),
    query: fc.record({ word: fc.constantFrom('a', 'b', 'c'), top: fc.constantFrom('3', '150') }, { requiredKeys: [] }),
    encoding: fc.constantFrom(undefined, 'gzip', 'br', 'gzip;q=0'),
    knows: fc.boolean(),
  })

  test('are each of one commit, never go back, and are the same in each encoding', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const scheduler = new VirtualTimeScheduler()
        const clock = { now: () => scheduler.frame, scheduler }
        const numbered = new Numbered()
        const [route] = numbered.routes(clock)
        let told = 0
        const bodies = new Map<string, string>()
        let etag = ''
        for (const { afterMs, commits, query, encoding, knows } of steps) {
          scheduler.frame += afterMs
          for (let commit = 0; commit < commits; commit++) numbered.commit()
          const headers = { 'accept-encoding': encoding, 'if-none-match': knows ? etag : undefined }
          const request = { body: undefined, bytes: 0, headers, rawHeaders: [], query, correlationId: '' }
          const reply: HttpReply = await firstValueFrom(route!.handle(request))
          const { etag: tag = '', 'content-encoding': coding } = reply.headers ?? {}
          if (reply.status === 304) {
            expect(tag).toBe(etag)
            continue
          }
          expect(coding).toBe(encoding === 'gzip' && query.top !== '3' ? 'gzip' : undefined)
          const body = coding === 'gzip' ? gunzipSync(reply.body as Buffer) : (reply.body as Buffer)
          expect(tag).toBe(etagOf(body))
          etag = tag
          const values = new Set(Object.values((JSON.parse(body.toString()) as { numbers: object }).numbers))
          expect(values.size).toBe(1)
          const [commit] = [...values] as number[]
          // Whatever was asked before.
          expect(commit).toBeGreaterThanOrEqual(told)
          expect(reply.headers?.['weir-as-of']).toBe(new Date(1_000 * (commit ?? 0)).toISOString())
          told = commit ?? 0
          expect(bodies.get(tag) ?? body.toString()).toBe(body.toString())
          bodies.set(tag, body.toString())
        }
      }),
      { numRuns: 50 },
    )
  })

  test('to a question are made once, however many ask, until there is another commit', async () => {
    const scheduler = new VirtualTimeScheduler()
    const numbered = new Numbered()
    const [route] = numbered.routes({ now: () => scheduler.frame, scheduler })
    const ask = async (query: Record<string, string>) => {
      const request = { body: undefined, bytes: 0, headers: {}, rawHeaders: [], query, correlationId: '' }
      return firstValueFrom(route!.handle(request))
    }
    const replies = await Promise.all(Array.from({ length: 500 }, (_, index) => ask({ top: index % 2 ? '5' : '6' })))
    expect(numbered.made).toBe(2)
    expect(new Set(replies).size).toBe(2)
    expect(await ask({ word: 'a', top: '5' })).not.toBe(replies[1])
    expect(await ask({ top: '5', word: 'a' })).toBe(await ask({ word: 'a', top: '5' }))
    expect(numbered.made).toBe(3)
    numbered.commit()
    scheduler.frame += 260
    expect(await ask({ top: '5' })).not.toBe(replies[1])
    expect(numbered.made).toBe(4)
    expect((await ask({ top: 'five' })).status).toBe(400)
    expect((await ask({ top: '5', wrod: 'a' })).status).toBe(400)
    expect(numbered.made).toBe(4)
  })

  test('are remembered within bounds, whatever is asked', () => {
    const rows = new Map(Array.from({ length: 1_000 }, (_, index) => [`key ${index} ${'x'.repeat(100)}`, index]))
    const tables: ViewTables = new Map([['t', rows]])
    fc.assert(
      fc.property(fc.array(fc.nat(1_000), { minLength: 1, maxLength: 600 }), (tops) => {
        const answers = new Answers(undefined)
        for (const top of tops) {
          const answer = answers.of({ tag: 'a', tables }, `${top}`, {}, top)
          // Who was asked last is remembered.
          expect(answers.known('a', `${top}`)).toBe(answer)
        }
        const known = [...new Set(tops)].flatMap((top) => answers.known('a', `${top}`) ?? [])
        expect(known.length).toBeLessThanOrEqual(200)
        expect(known.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(32 << 20)
        expect(answers.known('b', `${tops[0]}`)).toBeUndefined()
      }),
      { numRuns: 10 },
    )
  })
})

describe('a view behind a token', () => {
  let server: WorkerHttpServer
  let url: string
  const serving: Subscription[] = []

  beforeEach(async () => {
    server = new WorkerHttpServer(silentLogger, { token: 'secret' })
    for (const route of new Numbered().routes(systemClock)) serving.push(server.serve(route).subscribe())
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
    url = `http://127.0.0.1:${port}/stats?top=3`
  })
  afterEach(async () => {
    for (const served of serving.splice(0)) served.unsubscribe()
    await server.close()
  })

  test('is not told what was answered to somebody else', async () => {
    const known = await fetch(url, { headers: { authorization: 'Bearer secret' } })
    expect(known.status).toBe(200)
    await known.text()
    const etag = known.headers.get('etag') ?? ''
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { 'if-none-match': etag }]) {
      const answer = await fetch(url, { headers })
      expect(answer.status).toBe(401)
      expect(answer.headers.get('etag')).toBeNull()
      expect(await answer.text()).not.toContain('numbers')
    }
  })
})
