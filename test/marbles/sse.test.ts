import { concat, concatMap, defer, ignoreElements, map, NEVER, type Observable, of, takeUntil, timer } from 'rxjs'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { type Epoch, type SourceTask, type StreamRecord, silentLogger } from '../../src/model/index.js'
import { Backoff } from '../../src/sources/sse/backoff.js'
import { SseTask, type SseTaskOptions } from '../../src/sources/sse/task.js'
import { sse, sseDefinition } from '../../src/sources/sse.js'
import { type MarbleHelpers, marbles } from '../../src/testing/marbles.js'
import { bodyOf, frame, type Script, ScriptedStream } from '../support/scripted-stream.js'
import { epochOf, SourceBench } from '../support/source-bench.js'

const partition = { topic: 'sse:changes', partition: 0 }
const url = 'https://stream.example/changes'
const usual = { url, headers: {}, idleTimeout: 1_000, reconnect: 10, maxEventBytes: 100 }

interface Kit extends MarbleHelpers {
  readonly server: ScriptedStream
  readonly bench: SourceBench
  open(options?: Partial<SseTaskOptions>): SourceTask<string>
  /** Asserts when virtual time is over. */
  after(check: () => void): void
}

type Body = (diagram: string, pieceOf?: (letter: string) => string | Uint8Array) => Observable<string | Uint8Array>

/** A source over a server that answers its requests so, in virtual time. */
function scripted(scripts: (body: Body) => readonly Script[], run: (kit: Kit) => void): () => void {
  return () => {
    const checks: (() => void)[] = []
    marbles((helpers) => {
      const { clock } = helpers
      const server = new ScriptedStream(
        clock.now,
        scripts((diagram, pieceOf) => bodyOf(diagram, clock, pieceOf)),
      )
      const bench = new SourceBench(partition, clock)
      const open = (options: Partial<SseTaskOptions> = {}) =>
        bench.open((context) => new SseTask({ ...usual, ...options }, context, server.ask))
      run({ ...helpers, server, bench, open, after: (check) => checks.push(check) })
    })()
    for (const check of checks) check()
  }
}

/** Some of what virtual time brings: `ms`, and then nothing. */
const wait = (ms: number, { clock }: MarbleHelpers) => timer(ms, clock.scheduler).pipe(ignoreElements())
const endless = (): Epoch => epochOf(1_000)
const requested = ({ requests }: ScriptedStream) => requests.map(({ at, lastEventId }) => [at, lastEventId])

beforeEach(() => {
  vi.spyOn(Math, 'random').mockReturnValue(0)
})

/** Starts a source and reads it so, nothing committed beforehand. */
function started<V>(source: SourceTask<V>, epochs$: Observable<StreamRecord<V>>): Observable<StreamRecord<V>> {
  return source.assignments$.pipe(
    concatMap((change) => (change.kind === 'assigned' ? concat(change.start([]), epochs$, NEVER) : NEVER)),
  )
}

describe('reading', () => {
  test(
    'events are emitted as they come, with type and time',
    scripted(
      (body) => [{ body: body('-a--b', (letter) => `event: ${letter}\nid: 1\ndata: ${letter}\n\n`) }],
      ({ bench, open, server, expectObservable, after }) => {
        const record = (value: string, offset: number, timestamp: number) => ({
          key: null,
          value,
          timestamp,
          headers: [{ 'sse.event': value }],
          origin: { ...partition, offset, key: null, value, timestamp },
        })
        const records$ = bench
          .read(open(), [endless()])
          .pipe(map(({ behindMs: _, with: __, keyed: ___, at: ____, ...fields }) => ({ ...fields })))
        expectObservable(records$, '------!').toBe('-a--b-', { a: record('a', 0, 1), b: record('b', 1, 4) })
        after(() => expect(server.requests).toMatchObject([{ at: 0, isOpen: false }]))
      },
    ),
  )

  test(
    'nothing is asked for before an epoch reads',
    scripted(
      (body) => [{ body: body('a') }],
      (kit) => {
        const source = kit.open()
        const late$ = source.assignments$.pipe(
          concatMap((change) =>
            change.kind === 'assigned' ? concat(change.start([]), wait(5, kit), source.read(endless())) : NEVER,
          ),
        )
        kit.expectRecords(late$, '--------!').toBe('-----a--')
        kit.after(() => expect(requested(kit.server)).toEqual([[5, undefined]]))
      },
    ),
  )

  test(
    'one connection outlives the epochs',
    scripted(
      (body) => [{ body: body('a-b-c') }],
      ({ bench, open, server, expectRecords, after }) => {
        expectRecords(bench.read(open(), [epochOf(1), epochOf(1), epochOf(1)]), '------!').toBe('a-b-c-')
        after(() => expect(server.requests).toHaveLength(1))
      },
    ),
  )

  test(
    'a message without a type has no header, nor has one of the usual type',
    scripted(
      (body) => [{ body: body('ab', (letter) => (letter === 'a' ? frame('a') : `event: message\n${frame('b')}`)) }],
      ({ bench, open, expectObservable }) => {
        const headers$ = bench.read(open(), [endless()]).pipe(map(({ headers }) => headers))
        expectObservable(headers$, '---!').toBe('xx', { x: [] })
      },
    ),
  )
})

describe('connects again', () => {
  test.each([
    ['ends', '-a|'],
    ['breaks', '-a#'],
  ])('when the response %s, after the last event', (_how, first) =>
    scripted(
      (body) => [{ body: body(first) }, { body: body('-b') }],
      ({ bench, open, server, expectRecords, after }) => {
        expectRecords(bench.read(open(), [endless()]), '20ms !').toBe('-a 11ms b')
        after(() =>
          expect(requested(server)).toEqual([
            [0, undefined],
            [12, 'a'],
          ]),
        )
      },
    )(),
  )

  test(
    'when it breaks within an event, which comes again',
    scripted(
      (body) => [
        { body: body('ab#', (letter) => (letter === 'a' ? frame('a', 'a') : 'id: b\ndata: b\n')) },
        { body: body('b') },
      ],
      ({ bench, open, server, expectRecords, after }) => {
        expectRecords(bench.read(open(), [endless()]), '20ms !').toBe('a 11ms b')
        after(() => expect(server.requests[1]?.lastEventId).toBe('a'))
      },
    ),
  )

  test(
    'after as long as the stream asks for',
    scripted(
      (body) => [{ body: body('ra|', (letter) => (letter === 'r' ? 'retry: 30\n\n' : frame(letter))) }],
      ({ bench, open, server, expectRecords, after }) => {
        expectRecords(bench.read(open(), [endless()]), '40ms !').toBe('-a 31ms a')
        after(() => expect(requested(server).map(([at]) => at)).toEqual([0, 32]))
      },
    ),
  )

  test('after five minutes where the stream asks for a month, which is told', () => {
    const warn = vi.spyOn(silentLogger, 'warn')
    scripted(
      (body) => [{ body: body('rra|', (letter) => (letter === 'r' ? 'retry: 2592000000\n\n' : frame(letter))) }],
      ({ bench, open, server, expectRecords, after }) => {
        expectRecords(bench.read(open(), [endless()]), '300010ms !').toBe('--a 300002ms a')
        after(() => expect(requested(server).map(([at]) => at)).toEqual([0, 300_003]))
      },
    )()
    // Once a connection.
    const told = [expect.stringContaining('asks for 2592000 s')]
    expect(warn.mock.calls).toEqual([told, told])
    warn.mockRestore()
  })

  test('a little later by chance', () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.8)
    scripted(
      (body) => [{ body: body('a|') }],
      ({ bench, open, server, expectRecords, after }) => {
        expectRecords(bench.read(open(), [endless()]), '17ms !').toBe('a')
        after(() => expect(requested(server).map(([at]) => at)).toEqual([0, 15]))
      },
    )()
  })

  test(
    'later each time that nothing came, and soon once something did',
    scripted(
      (body) => [{ error: new Error('no') }, { body: body('|') }, { silent: true }, { body: body('a|') }],
      ({ bench, open, server, expectRecords, after }) => {
        expectRecords(bench.read(open({ idleTimeout: 100 }), [endless()]), '3620ms !').toBe('3600ms a')
        after(() => expect(requested(server).map(([at]) => at)).toEqual([0, 500, 1_500, 3_600, 3_611]))
      },
    ),
  )

  test('half a minute later at the most, or what the stream asks for, up to five minutes', () => {
    const backoff = new Backoff(1)
    const waits = Array.from({ length: 12 }, () => {
      backoff.failed()
      return backoff.nextMs()
    })
    expect(waits.slice(4)).toEqual([8_000, 16_000, ...Array.from({ length: 6 }, () => 30_000)])
    backoff.retry(40_000)
    expect(backoff.nextMs()).toBe(40_000)
    backoff.retry(1e12)
    expect(backoff.nextMs()).toBe(300_000)
    backoff.retry(0)
    backoff.succeeded()
    expect(backoff.nextMs()).toBe(20)
  })

  test.each([500, 502, 503, 429, 408, 425, 304])('after a status of %i', (status) =>
    scripted(
      (body) => [{ status }, { body: body('a') }],
      ({ bench, open, expectRecords }) => {
        expectRecords(bench.read(open(), [endless()]), '600ms !').toBe('500ms a')
      },
    )(),
  )

  test.each([
    ['seconds', '7', undefined],
    ['date', new Date(7_000).toUTCString(), undefined],
    ['date of a server that is a day ahead', new Date(86_407_000).toUTCString(), new Date(86_400_000).toUTCString()],
  ])('after the %s of Retry-After', (_what, retryAfter, date) =>
    scripted(
      (body) => [{ status: 503, retryAfter, ...(date === undefined ? {} : { date }) }, { body: body('a') }],
      ({ bench, open, expectRecords }) => {
        expectRecords(bench.read(open(), [endless()]), '8s !').toBe('7s a')
      },
    )(),
  )

  test(
    'after something that is no event stream, and takes nothing for an event',
    scripted(
      (body) => [{ contentType: 'text/html', body: body('x') }, { body: body('a') }],
      ({ bench, open, server, expectRecords, after }) => {
        expectRecords(bench.read(open(), [endless()]), '600ms !').toBe('500ms a')
        after(() => expect(server.requests[0]).toMatchObject({ pieces: 0, isOpen: false }))
      },
    ),
  )
})

describe('silence', () => {
  const once: (body: Body) => readonly Script[] = (body) => [{ body: body('a') }, { body: body('b') }]

  test(
    'is the end of a connection',
    scripted(once, ({ bench, open, server, expectRecords, after }) => {
      expectRecords(bench.read(open({ idleTimeout: 20 }), [endless()]), '40ms !').toBe('a 29ms b')
      after(() =>
        expect(server.requests).toMatchObject([{ isOpen: false }, { at: 30, lastEventId: 'a', isOpen: false }]),
      )
    }),
  )

  test(
    'is broken by a comment',
    scripted(
      (body) => [{ body: body('a---------------:', (letter) => (letter === ':' ? ':\n' : frame(letter))) }],
      ({ bench, open, server, expectRecords, after }) => {
        expectRecords(bench.read(open({ idleTimeout: 20 }), [endless()]), '40ms !').toBe('a')
        after(() => expect(server.requests).toHaveLength(1))
      },
    ),
  )

  test(
    'goes on over the ends of epochs',
    scripted(once, (kit) => {
      const epochs = [10, 10, 10, 10].map((ms) => epochOf(10, timer(ms, kit.clock.scheduler)))
      kit.expectRecords(kit.bench.read(kit.open({ idleTimeout: 20 }), epochs), '40ms !').toBe('a 29ms b')
    }),
  )

  test(
    'is none while nobody reads',
    scripted(
      (body) => [{ body: body('ab') }],
      (kit) => {
        const source = kit.open({ idleTimeout: 20 })
        const epochs$ = concat(source.read(epochOf(1)), wait(50, kit), source.read(endless()))
        kit.expectRecords(started(source, epochs$), '60ms !').toBe('a 49ms b')
        kit.after(() => expect(kit.server.requests).toHaveLength(1))
      },
    ),
  )
})

describe('a full epoch', () => {
  test(
    'reads no more of the response',
    scripted(
      (body) => [{ body: body('abcdef') }],
      (kit) => {
        const source = kit.open()
        const looked: unknown[] = []
        const look$ = defer(() => {
          looked.push(kit.server.requests[0]?.pieces)
          return wait(0, kit)
        })
        const epochs$ = concat(source.read(epochOf(2)), wait(9, kit), look$, source.read(epochOf(3)))
        kit.expectRecords(started(source, epochs$), '14ms !').toBe('ab 8ms (cde)')
        kit.after(() => expect([...looked, kit.server.requests[0]?.pieces]).toEqual([2, 5]))
      },
    ),
  )

  test(
    'leaves the rest of what was read to the next',
    scripted(
      (body) => [{ body: body('x', () => ['a', 'b', 'c', 'd', 'e'].map((letter) => frame(letter, letter)).join('')) }],
      ({ bench, open, server, expectRecords, after }) => {
        expectRecords(bench.read(open(), [epochOf(2), epochOf(2), epochOf(2)]), '--!').toBe('(abcde)')
        after(() => expect(server.requests[0]?.pieces).toBe(1))
      },
    ),
  )

  test(
    'counts what it takes in characters',
    scripted(
      (body) => [{ body: body('abc', (letter) => frame(letter.repeat(3))) }],
      ({ bench, open, clock, expectRecords, after }) => {
        const sizes: number[] = []
        const { take, ...epoch } = epochOf(9, timer(4, clock.scheduler))
        const counting = {
          ...epoch,
          take: (records: number, bytes: number) => void (take(records, bytes), sizes.push(bytes)),
        }
        expectRecords(bench.read(open(), [counting]), '6ms !').toBe('abc', { a: 'aaa', b: 'bbb', c: 'ccc' })
        after(() => expect(sizes).toEqual([3, 3, 3]))
      },
    ),
  )
})

describe('an epoch that is cut', () => {
  test(
    'completes at once, and what was asked for comes in the next',
    scripted(
      (body) => [{ body: body('----a') }],
      (kit) => {
        const source = kit.open()
        const epochs$ = concat(
          source.read(epochOf(9, timer(2, kit.clock.scheduler))),
          wait(5, kit),
          source.read(epochOf(1)),
        )
        kit.expectRecords(started(source, epochs$), '20ms !').toBe('7ms a')
        kit.after(() => expect(kit.server.requests).toMatchObject([{ pieces: 1 }]))
      },
    ),
  )

  test(
    'before it begins asks for nothing',
    scripted(
      (body) => [{ body: body('a') }],
      ({ open, server, expectRecords, after }) => {
        expectRecords(open().read(epochOf(9, of('cut')))).toBe('|')
        expectRecords(open().read(epochOf(0))).toBe('|')
        after(() => expect(server.requests).toEqual([]))
      },
    ),
  )
})

describe('an id without an event', () => {
  const piece = (letter: string) => (letter === 'x' ? 'id: x\n\n' : frame(letter))

  test(
    'is where the next connection goes on',
    scripted(
      (body) => [{ body: body('ax|', piece) }, { body: body('b', piece) }],
      (kit) => {
        kit.expectRecords(kit.bench.read(kit.open(), [endless()]), '20ms !').toBe('a 11ms b')
        kit.after(() => expect(requested(kit.server).map(([, lastId]) => lastId)).toEqual([undefined, 'x']))
      },
    ),
  )

  test(
    'is where the next process goes on, once it is committed',
    scripted(
      (body) => [{ body: body('ax-b', piece) }, { body: body('-c', piece) }],
      (kit) => {
        const { bench, open, server, clock } = kit
        const first$ = bench
          .read(open(), [epochOf(5, timer(2, clock.scheduler))])
          .pipe(takeUntil(timer(5, clock.scheduler)))
        const second$ = defer(() => bench.read(open(), [endless()]))
        kit.expectRecords(concat(first$, second$), '10ms !').toBe('a 5ms c')
        kit.after(() => expect(requested(server).map(([, lastId]) => lastId)).toEqual([undefined, 'x']))
      },
    ),
  )
})

describe('a process that starts again', () => {
  test(
    'goes on after the last event that was committed',
    scripted(
      (body) => [{ body: body('abc') }, { body: body('-cd') }],
      (kit) => {
        const { bench, open, server } = kit
        const first$ = bench.read(open(), [epochOf(2), endless()]).pipe(takeUntil(timer(5, kit.clock.scheduler)))
        const second$ = defer(() => bench.read(open(), [endless()]))
        kit.expectRecords(concat(first$, second$), '10ms !').toBe('abc 2ms -cd')
        kit.after(() =>
          expect(requested(server)).toEqual([
            [0, undefined],
            [5, 'b'],
          ]),
        )
      },
    ),
  )

  test(
    'drops what the stream repeats of what was committed',
    scripted(
      (body) => [{ body: body('abc|') }, { body: body('abcdc') }],
      (kit) => {
        const { bench, open } = kit
        const first$ = bench.read(open(), [epochOf(3)]).pipe(takeUntil(timer(5, kit.clock.scheduler)))
        kit
          .expectRecords(
            concat(
              first$,
              defer(() => bench.read(open(), [endless()])),
            ),
            '12ms !',
          )
          .toBe('abc 2ms ---d')
        kit.after(() => expect(bench.rejections).toEqual([]))
      },
    ),
  )
})

describe('the position', () => {
  const after = (pieces: Readonly<Record<string, string>>, diagram: string) =>
    scripted(
      (body) => [{ body: body(diagram, (letter) => pieces[letter] as string) }],
      ({ bench, open, server, expectRecords, after }) => {
        const values = Object.fromEntries(
          Object.entries(pieces).map(([letter, piece]) => [letter, /data:(.*)/.exec(piece)?.[1]]),
        )
        expectRecords(bench.read(open(), [endless()]), '13ms !').toBe(diagram.replace(/[-|].*/, ''), values)
        after(() => lastIds.push(server.requests[1]?.lastEventId))
      },
    )()
  const lastIds: (string | undefined)[] = []

  test.each([
    ['is the id of the last event', { a: 'id:1\ndata:x\n\n', b: 'id:2\ndata:x\n\n' }, '2'],
    ['is that of an earlier one, if the last has none', { a: 'id:1\ndata:x\n\n', b: 'data:x\n\n' }, '1'],
    ['is none after an empty one', { a: 'id:1\ndata:x\n\n', b: 'id\ndata:x\n\n' }, undefined],
    ['is sent as UTF-8', { a: 'id:€\ndata:x\n\n', b: 'data:x\n\n' }, Buffer.from('€').toString('latin1')],
    ['is no id that goes into no header', { a: 'id:1\ndata:x\n\n', b: 'id:\u0001\ndata:y\n\n' }, '1'],
    ['is no id that is far too long', { a: 'id:1\ndata:x\n\n', b: `id:${'9'.repeat(5_000)}\ndata:y\n\n` }, '1'],
  ])('%s', (_name, pieces, lastId) => {
    lastIds.length = 0
    vi.spyOn(Math, 'random').mockReturnValue(0)
    after(pieces, 'ab|')
    expect(lastIds).toEqual([lastId])
  })

  test(
    'does not go back with an event that comes again',
    scripted(
      (body) => [{ body: body('abca|') }],
      ({ bench, open, server, expectRecords, after }) => {
        expectRecords(bench.read(open(), [endless()]), '15ms !').toBe('abc')
        after(() => expect(server.requests[1]?.lastEventId).toBe('c'))
      },
    ),
  )
})

describe('a repeat', () => {
  const read = (
    letters: Readonly<Record<string, string>>,
    diagram: string,
    options: Partial<SseTaskOptions>,
    expected: string,
  ) =>
    scripted(
      (body) => [{ body: body(diagram, (letter) => letters[letter] as string) }],
      ({ bench, open, expectObservable }) => {
        const all$ = bench.read(open(options), [endless()]).pipe(map(({ value }) => value))
        expectObservable(all$, '10ms !').toBe(expected, { x: 'x', y: 'y' })
      },
    )()

  test('has the same id and the same data', () => read({ x: frame('x', '1') }, 'x-x', {}, 'x'))
  test('is none with the same id and other data', () =>
    read({ x: frame('x', '1'), y: frame('y', '1') }, 'xyx', {}, 'xy'))
  test('is none with the same data and another id', () =>
    read({ x: frame('x', '1'), y: frame('x', '2') }, 'xy', {}, 'xx'))
  test('can not be told without an id', () => read({ x: frame('x'), y: 'id:\ndata: x\n\n' }, 'xxyy', {}, 'xxxx'))
  test('is what the options say it is', () =>
    read({ x: frame('x', '1'), y: frame('x', '2') }, 'xy', { identity: ({ data }) => data }, 'x'))
  test('is told by id and data where the options can not say', () =>
    read({ x: frame('x', '1'), y: frame('x', '2') }, 'xyx', { identity: () => undefined }, 'xx'))
})

describe('an epoch that fails', () => {
  test(
    'is replayed from memory, with the ids it had',
    scripted(
      (body) => [{ body: body('abc-----d|') }, { body: body('ad') }],
      (kit) => {
        const { bench, server } = kit
        const source = kit.open()
        const epochs$ = concat(
          source.read(epochOf(1)),
          defer(() => bench.commit(source)),
          source.read(epochOf(2)),
          defer(() => bench.rewind(source)),
          source.read(epochOf(3)),
          defer(() => bench.commit(source)),
          source.read(endless()),
        )
        kit.expectRecords(started(source, epochs$), '30ms !').toBe('ab(cbc)-d')
        kit.after(() => {
          expect(source.positions()).toEqual([{ ...partition, offset: 4 }])
          expect(requested(server)).toEqual([
            [0, undefined],
            [19, 'd'],
          ])
        })
      },
    ),
  )
})

describe('an event that is too long', () => {
  const long = 'x'.repeat(101)
  const scripts = (body: Body) => [
    { body: body('axb', (letter) => (letter === 'x' ? frame(long, 'x') : frame(letter, letter))) },
  ]

  test(
    'is rejected, and has its place',
    scripted(scripts, ({ bench, open, expectObservable, after }) => {
      const places$ = bench
        .read(open(), [epochOf(3), endless()])
        .pipe(map(({ origin, value }) => [origin.offset, value]))
      expectObservable(places$, '----!').toBe('a-b', { a: [0, 'a'], b: [2, 'b'] })
      after(() => {
        expect(bench.rejections.map(({ code }) => code)).toEqual(['WEIR_RECORD_TOO_LARGE'])
        expect(bench.positions).toEqual([{ ...partition, offset: 3 }])
      })
    }),
  )

  test(
    'is left, if it does not end, by another connection',
    scripted(
      (body) => [
        { body: body('axxxxxxxxxxxx', (letter) => (letter === 'a' ? frame('a', 'a') : long)) },
        { body: body('b') },
      ],
      ({ bench, open, server, expectRecords, after }) => {
        expectRecords(bench.read(open(), [endless()]), '600ms !').toBe('a 508ms b')
        after(() => {
          expect(bench.rejections.map(({ code }) => code)).toEqual(['WEIR_RECORD_TOO_LARGE'])
          expect(requested(server)).toEqual([
            [0, undefined],
            [509, 'a'],
          ])
        })
      },
    ),
  )

  test(
    'ends the epoch where the policy is to fail',
    scripted(scripts, ({ bench, server, expectRecords }) => {
      const reject = (_record: unknown, error: unknown) => {
        throw error
      }
      const source = bench.open((context) => new SseTask(usual, { ...context, reject }, server.ask))
      expectRecords(bench.read(source, [endless()])).toBe('a#', undefined, 'WEIR_RECORD_TOO_LARGE')
    }),
  )
})

describe('is over', () => {
  test.each([204, 400, 401, 403, 404, 410, 431])('with a status of %i', (status) =>
    scripted(
      () => [{ status }],
      ({ bench, open, server, expectRecords, after }) => {
        expectRecords(bench.read(open(), [endless()])).toBe('#', undefined, 'WEIR_SOURCE_REFUSED')
        after(() => expect(server.requests).toMatchObject([{ isOpen: false }]))
      },
    )(),
  )

  test(
    'when all that came before is committed',
    scripted(
      (body) => [{ body: body('ab|') }, { status: 204 }],
      ({ bench, open, server, clock, expectRecords, after }) => {
        const source = open()
        const epochs = [epochOf(100, timer(30, clock.scheduler)), endless()]
        expectRecords(bench.read(source, epochs)).toBe('ab 28ms #', undefined, 'WEIR_SOURCE_REFUSED')
        after(() => {
          expect(requested(server).at(-1)).toEqual([12, 'b'])
          expect(bench.positions).toEqual([{ ...partition, offset: 2 }])
          expect(source.trouble?.()?.code).toBe('WEIR_SOURCE_REFUSED')
        })
      },
    ),
  )

  test.each(['text/html', 'text/event-streams', 'application/json', ''])(
    'when ten answers in a row are %j',
    (contentType) =>
      scripted(
        (body) => [{ contentType, body: body('x') }],
        ({ bench, open, server, expectRecords, after }) => {
          const time = 500 + 1_000 + 2_000 + 4_000 + 8_000 + 16_000 + 3 * 30_000
          expectRecords(bench.read(open(), [endless()])).toBe(`${time}ms #`, undefined, 'WEIR_SOURCE_REFUSED')
          after(() => expect(server.requests).toHaveLength(10))
        },
      )(),
  )

  test(
    'when ten are in a row, whatever came before',
    scripted(
      (body) => {
        const page = { contentType: 'text/html' }
        return [...Array.from({ length: 9 }, () => page), { body: body('a|') }, page]
      },
      ({ bench, open, expectRecords }) => {
        const ten = '121500ms a 121510ms #'
        expectRecords(bench.read(open(), [epochOf(1), endless()])).toBe(ten, undefined, 'WEIR_SOURCE_REFUSED')
      },
    ),
  )

  test.each(['text/event-stream', 'text/event-stream;charset=utf-8', 'Text/Event-Stream ; x=y'])(
    'and not with %j',
    (contentType) =>
      scripted(
        (body) => [{ contentType, body: body('a') }],
        ({ bench, open, expectRecords }) => {
          expectRecords(bench.read(open(), [endless()]), '--!').toBe('a')
        },
      )(),
  )
})

test(
  'trouble is told while there is no connection, and nobody knows then how far the stream is',
  scripted(
    (body) => [
      { error: new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') }) },
      { body: body('a--#') },
      { status: 503 },
    ],
    ({ bench, open, clock, expectRecords, after }) => {
      const source = open()
      const seen: unknown[] = []
      for (const at of [0, 499, 502, 510, 514]) {
        clock.scheduler.schedule(() => {
          const length = seen.push([at, source.trouble?.()?.message.replace(`reading ${url}: `, '')])
          source.ends().subscribe((ends) => seen.splice(length, 0, ends))
        }, at)
      }
      expectRecords(bench.read(source, [endless()]), '520ms !').toBe('500ms a')
      const known = [{ ...partition, offset: 1, end: 1 }]
      after(() =>
        expect(seen).toEqual([
          [0, 'there is no answer yet'],
          [499, 'connect ECONNREFUSED'],
          [502, undefined],
          known,
          [510, undefined],
          known,
          [514, 'the server answered 503'],
        ]),
      )
    },
  ),
)

test('its options are declared as given', () => {
  const declared = sse({ url })
  expect(declared.definition.detail?.({ url })).toBe(url)
  const parse = (options: object) => sseDefinition.options.safeParse(options).error?.issues.map(({ path }) => path[0])
  expect(parse({ url: 'ftp://x.example' })).toEqual(['url'])
  expect(parse({ url, idleTimeout: 0, maxEventBytes: 0 })).toEqual(['idleTimeout', 'maxEventBytes'])
  expect(parse({ url })).toBeUndefined()
})
