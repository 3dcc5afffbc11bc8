import { mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { concat, defer, EMPTY, ignoreElements } from 'rxjs'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { ArchiveRow } from '../../src/codecs/archive/file-format.js'
import { avroFormat } from '../../src/codecs/avro/avro-format.js'
import { kafkaHeaders, MessageReader } from '../../src/codecs/cloudevents/index.js'
import { type Header, StreamRecord } from '../../src/model/index.js'
import { FileRequests } from '../../src/sinks/archive/file/file-requests.js'
import { rowOf } from '../../src/sinks/archive/rows.js'
import { writeArchive } from '../support/archive-folder.js'
import { plainRow } from '../support/archive-rows.js'
import { weirIn } from '../support/weir.js'

let cwd: string
let folder: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'weir-archive-cli-'))
  folder = join(cwd, 'files')
})
afterEach(() => rmSync(cwd, { recursive: true }))

const rows = (from: number, to: number, fields: Partial<ArchiveRow> = {}) =>
  Array.from({ length: to - from + 1 }, (_, index) => plainRow(from + index, fields))

/** Files of 100 records each, from an offset on. */
async function files(...from: number[]): Promise<string[]> {
  const names: string[] = []
  for (const first of from) names.push(await writeArchive(folder, rows(first, first + 99)))
  return names
}

const verify = (...argv: string[]) => weirIn(cwd, ['archive', 'verify', 'files', ...argv])

async function findings(...argv: string[]) {
  const { code, said } = await verify('--json', ...argv)
  const { partitions } = JSON.parse(said) as {
    partitions: { findings: { kind: string; offsets?: number[]; files: string[]; count?: number; told: string }[] }[]
  }
  return { code, found: partitions.flatMap((partition) => partition.findings) }
}

describe('weir archive ls', () => {
  test('counts files, records, bytes and days by topic and partition', async () => {
    await files(0, 100)
    await writeArchive(folder, [plainRow(20_000_000, { partition: 1, dataschema: 'https://example.com/v2.json' })])
    await writeArchive(folder, [plainRow(0, { topic: '.hidden' })], { format: avroFormat('null') })
    writeFileSync(join(folder, 'README'), 'by hand')
    const { code, said } = await weirIn(cwd, ['archive', 'ls', 'files'])
    expect(code).toBe(0)
    expect(said).toMatch(/^\.hidden +0 +v1 +1 +1 +[\d.]+ \w+ +1 +2026-01-01 +0$/m)
    expect(said).toMatch(/^orders +0 +v1 +2 +200 +[\d.]+ \w+ +1 +2026-01-01 +0$/m)
    expect(said).toMatch(/^orders +1 +v2 +1 +1 +[\d.]+ \w+ +1 +2026-01-03 +20000000$/m)
    expect(said).toMatch(/^4 files with 202 records, [\d.]+ KB, of 2 days in file:\/\//m)
    expect(said).toContain('1 other file that no archive has written: README')
    const json = JSON.parse((await weirIn(cwd, ['archive', 'ls', `file://${folder}`, '--json'])).said) as object
    expect(json).toMatchObject({
      foreign: ['README'],
      partitions: [{ topic: '.hidden' }, { topic: 'orders', partition: 0, files: 2, records: 200 }, { partition: 1 }],
    })
  })

  test('takes the archive of the configuration, by its flow where there are several', async () => {
    await files(0)
    const flow = (path: string) =>
      `flow(kafka.source({ topic: '${path}', group: 'g' }), cloudEvents.decode({ data: 'raw' }), archive.sink({ store: { backend: 'file', path: '${path}' } }))`
    const configure = (file: string, flows: string) =>
      writeFileSync(
        join(cwd, file),
        `import { archive, cloudEvents, defineConfig, flow, kafka } from 'weirflow'
        export default defineConfig({
          app: 'a', checkpoints: 'kafka', connections: { kafka: kafka({ brokers: 'localhost:1' }) }, flows: { ${flows} },
        })`,
      )
    configure('flows.config.ts', `one: ${flow('files')}`)
    configure('both.config.ts', `one: ${flow('files')}, two: ${flow('none')}`)
    expect((await weirIn(cwd, ['archive', 'ls'])).said).toContain('1 file with 100 records')
    expect((await weirIn(cwd, ['archive', 'ls', 'one'])).said).toContain('1 file with 100 records')
    const other = await weirIn(cwd, ['archive', 'ls', 'two'])
    expect(other.code).toBe(2)
    expect(other.said).toContain("no folder and no flow 'two' has an archive: there are those of one")
    const several = await weirIn(cwd, ['archive', 'ls', '--config', 'both.config.ts'])
    expect(several.code).toBe(2)
    expect(several.said).toContain('which archive? there are flows one, two')
    const named = await weirIn(cwd, ['archive', 'ls', 'two', '--config', 'both.config.ts'])
    expect(named.said).toContain('no file of an archive')
  })

  test.each([
    ['./nowhere', /there is no folder .*nowhere/],
    ['ftp://a/b', /is the URL of no store/],
    ['s3://', /bucket/],
    ['azure://c', /either `connectionString` or `url`/],
    ['s3://b/p?endpont=http://x', /endpont/],
  ])('says what is wrong with %s', async (where, why) => {
    const { code, said } = await weirIn(cwd, ['archive', 'ls', where])
    expect(code).toBe(2)
    expect(said).toMatch(why)
  })
})

describe('weir archive verify', () => {
  test.each([[], ['--deep']])('finds nothing in a whole archive %s', async (...argv) => {
    await files(0, 100, 200)
    await writeArchive(folder, rows(0, 9, { partition: 1 }), { format: avroFormat('zstandard') })
    const { code, said } = await verify(...argv)
    expect(said).toMatch(/✓ orders-0: 3 files, 300 records, offsets 0 to 299/)
    expect(said).toMatch(/✓ orders-1: 1 file, 10 records, offsets 0 to 9/)
    expect(code).toBe(0)
  })

  test.each([[], ['--deep']])('a file that is lost is told as the offsets between two others %s', async (...argv) => {
    const [before, lost = '', behind] = await files(0, 100, 200)
    rmSync(join(folder, lost))
    const { code, found } = await findings(...argv)
    expect(code).toBe(1)
    expect(found).toEqual([
      {
        kind: 'missing',
        offsets: [100, 199],
        count: 100,
        files: [before, behind],
        told: `offsets 100 to 199 are in no file, between ${before} and ${behind}`,
      },
    ])
    expect((await verify(...argv)).said).toContain('--gaps <n> allows n of them in a row')
    expect((await verify(...argv, '--gaps', '99')).code).toBe(1)
    const allowed = await verify(...argv, '--gaps', '100')
    expect(allowed.code).toBe(0)
    expect(allowed.said).toMatch(/100 offsets( or more)? without a record, as --gaps allows/)
  })

  test('a lost file of one of two versions that alternate is counted, and found when every row is read', async () => {
    const all = rows(0, 399)
    const [odd, even] = [1, 0].map((rest) => all.filter(({ offset }) => offset % 2 === rest))
    for (const part of [even?.slice(0, 100), even?.slice(100)])
      await writeArchive(folder, part ?? [], { version: 'v1' })
    await writeArchive(folder, odd?.slice(0, 50) ?? [], { version: 'v2' })
    await writeArchive(folder, odd?.slice(150) ?? [], { version: 'v2' })
    const shallow = await findings()
    expect(shallow.code).toBe(1)
    const sum = (found: readonly { count?: number }[]) => found.reduce((all, { count = 0 }) => all + count, 0)
    expect(sum(shallow.found)).toBe(100)
    expect(shallow.found.at(-1)?.told).toMatch(
      /^50 or more of offsets 200 to 399 are in no file, amid .*: --deep tells which$/,
    )
    const deep = await findings('--deep')
    expect(deep.code).toBe(1)
    expect(sum(deep.found)).toBe(100)
    expect(deep.found[0]?.offsets?.[0]).toBe(101)
  })

  test.each([[], ['--deep']])('what is in two files of one folder is told with both %s', async (...argv) => {
    const [one] = await files(0)
    const other = await writeArchive(folder, rows(90, 149))
    const { code, found } = await findings(...argv)
    expect(code).toBe(1)
    expect(found).toMatchObject([{ kind: 'doubled', offsets: [90, 99], files: [one, other] }])
  })

  test('an event that is in two folders is found when every row is read', async () => {
    const one = await writeArchive(folder, rows(0, 9))
    const other = await writeArchive(folder, rows(5, 9), { version: 'v2' })
    expect((await verify()).said).toContain('only --deep can tell')
    const { code, found } = await findings('--deep')
    expect(code).toBe(1)
    expect(found).toMatchObject([{ kind: 'doubled', offsets: [5, 9], files: [one, other].sort() }])
  })

  test.each([[], ['--deep']])(
    'events of one batch have one offset, in one file and in two folders %s',
    async (...argv) => {
      const batch = [0, 0, 1, 2, 2, 2].map((offset, index) => plainRow(offset, { id: `e${index}` }))
      await writeArchive(folder, batch)
      await writeArchive(folder, [plainRow(2, { id: 'other' })], { version: 'v2' })
      expect(await findings(...argv)).toEqual({ code: 0, found: [] })
    },
  )

  test('a name that says something else than the file is out of place', async () => {
    const [name = ''] = await files(0)
    const renamed = (to: string) => {
      renameSync(join(folder, name), join(folder, to))
      return findings().finally(() => renameSync(join(folder, to), join(folder, name)))
    }
    for (const [from, to, why] of [
      ['count100', 'count99', 'its name says 99 records, and it has 100'],
      ['offset0', 'offset7', 'its name says offset 7, and it begins at 0'],
      ['20260101T', '20260102T', 'it lies in dt=2026-01-01, and its name says another day'],
    ] as const) {
      const { code, found } = await renamed(name.replace(from, to))
      expect(code).toBe(1)
      expect(found).toMatchObject([{ kind: 'misplaced', told: expect.stringContaining(why) as string }])
    }
    const elsewhere = await writeArchive(folder, rows(0, 9, { partition: 3 }), {
      name: name.replace('pid=0', 'pid=2').replace('count100', 'count10'),
    })
    expect((await findings()).found).toMatchObject([
      { kind: 'misplaced', files: [elsewhere], told: expect.stringContaining('is of partition 3') as string },
    ])
  })

  test('a row of another day, topic or order is out of place', async () => {
    const name = await writeArchive(folder, [
      plainRow(1),
      plainRow(0),
      plainRow(20_000_000),
      plainRow(20_000_001, { topic: 'other' }),
    ])
    const { found } = await findings('--deep', '--gaps', '20000000')
    expect(found.filter(({ kind }) => kind === 'misplaced').map(({ told }) => told.replace(`${name}: `, ''))).toEqual(
      expect.arrayContaining([
        'offset 0 comes behind 1',
        'a record is of another day than dt=2026-01-01, and 1 more',
        'a record is of other-0',
      ]),
    )
  })

  test.each(['parquet', 'avro'])('%s that is cut is unreadable, and the rest is looked at', async (extension) => {
    const format = extension === 'avro' ? { format: avroFormat('deflate') } : {}
    const name = await writeArchive(folder, rows(0, 99), format)
    await writeArchive(folder, rows(100, 199), format)
    truncateSync(join(folder, name), readFileSync(join(folder, name)).length - 50)
    const { code, found } = await findings()
    expect(code).toBe(1)
    expect(found).toMatchObject([{ kind: 'unreadable', files: [name] }])
  })

  test('a page that is damaged is found when every row is read', async () => {
    const [name = ''] = await files(0, 100)
    const bytes = readFileSync(join(folder, name))
    bytes.fill(0xff, 200, 260)
    writeFileSync(join(folder, name), bytes)
    expect((await findings()).code).toBe(0)
    const { code, found } = await findings('--deep')
    expect(code).toBe(1)
    expect(found).toMatchObject([{ kind: 'unreadable', files: [name] }])
  })

  describe('while files come and go', () => {
    /** Something is done when the files were listed for the first time. */
    function afterFirstList(work: () => Promise<unknown>): () => number {
      const { list } = FileRequests.prototype
      const spy = vi.spyOn(FileRequests.prototype, 'list').mockImplementation(function (this: FileRequests, ...args) {
        const isFirst = spy.mock.calls.length === 1
        return concat(list.apply(this, args), isFirst ? defer(work).pipe(ignoreElements()) : EMPTY)
      })
      onTestFinished(() => void spy.mockRestore())
      return () => spy.mock.calls.length
    }

    test.each([[], ['--deep']])('what is merged into a larger file is not missing %s', async (...argv) => {
      const small = await files(0, 100, 200)
      const lists = afterFirstList(async () => {
        await writeArchive(folder, rows(0, 299))
        for (const name of small) rmSync(join(folder, name))
      })
      const { code, said } = await verify(...argv)
      expect(said).toMatch(/✓ orders-0: 1 file, 300 records, offsets 0 to 299/)
      expect([code, lists()]).toEqual([0, 2])
    })

    test('what is there as well until it is merged is doubled, if it stays', async () => {
      await files(0, 100)
      const lists = afterFirstList(() => Promise.resolve())
      const whole = await writeArchive(folder, rows(0, 199))
      const { code, found } = await findings()
      expect(code).toBe(1)
      expect(found.map(({ kind, files: two }) => [kind, two.includes(whole)])).toEqual([
        ['doubled', true],
        ['doubled', true],
      ])
      expect(lists()).toBe(2)
    })

    test('a later file that was there before an earlier one leaves no gap', async () => {
      await files(0, 200)
      afterFirstList(() => files(100))
      expect((await verify()).said).toMatch(/✓ orders-0: 3 files, 300 records, offsets 0 to 299/)
    })

    test('what is missing is told, however much is written at the end meanwhile', async () => {
      await files(0, 200)
      const lists = afterFirstList(() => files(300))
      const { found } = await findings()
      expect(found).toMatchObject([{ kind: 'missing', offsets: [100, 199] }])
      expect(lists()).toBe(2)
    })

    test('somebody is told at some time, though they never rest', async () => {
      const { list } = FileRequests.prototype
      let next = 0
      const spy = vi.spyOn(FileRequests.prototype, 'list').mockImplementation(function (this: FileRequests, ...args) {
        const moves = async () => {
          for (const name of gone) rmSync(join(folder, name))
          gone = await files((next += 1_000))
        }
        return concat(list.apply(this, args), defer(moves).pipe(ignoreElements()))
      })
      onTestFinished(() => void spy.mockRestore())
      let gone = await files(0)
      const { code, found } = await findings()
      expect([code, found.map(({ kind }) => kind)]).toEqual([1, ['unreadable']])
      expect(spy.mock.calls.length).toBe(5)
    })
  })

  test('nothing is not well', async () => {
    await writeArchive(folder, rows(0, 1), { name: 'other.parquet' })
    const { code, said } = await verify()
    expect(code).toBe(1)
    expect(said).toMatch(/no file of an archive lies in .*\n1 other file that no archive has written: other\.parquet/)
  })
})

describe('weir archive cat', () => {
  const reader = new MessageReader({ data: 'raw', depth: 100, bigIntegers: 'reject' })
  const structured = { 'content-type': 'application/cloudevents+json' }

  /** The row that the sink makes of a message. */
  function archived(value: string | Buffer | null, headers: readonly Header[], offset = 0): ArchiveRow {
    const event = reader.read(value, kafkaHeaders(headers))
    const origin = {
      topic: 'events',
      partition: 2,
      offset,
      headers,
      key: Buffer.from('k'),
      timestamp: 1_700_000_000_000,
    }
    return rowOf(new StreamRecord('k', event, 0, headers, origin))
  }

  const attributes = { specversion: '1.0', id: '1', source: '/s', type: 't' }
  const cases: readonly (readonly [string, object])[] = [
    ['what it must have', {}],
    ['all that it can have', { subject: 'a/b', time: '2024-02-29T23:59:59.123456789+05:30', dataschema: 'urn:x' }],
    ['extensions of each type', { zero: 0, minus: -7, yes: true, no: false, text: '42', truth: 'true', empty: '' }],
    ['JSON', { data: { a: [1, 2.5, null, '\n\u2028'], big: 1e300 } }],
    ['JSON null', { data: null }],
    ['a text that is JSON', { data: 'text', datacontenttype: 'application/json' }],
    ['text', { data: '{"no": "JSON"', datacontenttype: 'text/plain; charset=utf-8' }],
    ['bytes', { data_base64: Buffer.from([0, 255, 254]).toString('base64'), datacontenttype: 'image/png' }],
    ['bytes of no type', { data_base64: Buffer.from('text').toString('base64') }],
  ]

  test.each(
    cases.flatMap(
      ([what, more]) =>
        [
          [what, 'parquet', more],
          [what, 'avro', more],
        ] as const,
    ),
  )('gives an event back as it was: %s, %s', async (_, extension, more) => {
    const event = { ...attributes, ...more }
    const row = archived(JSON.stringify(event), [structured])
    await writeArchive(folder, [row], extension === 'avro' ? { format: avroFormat('snappy') } : {})
    const { code, said } = await weirIn(cwd, ['archive', 'cat', 'events-2@0', 'files'])
    expect(code).toBe(0)
    expect(JSON.parse(said)).toEqual(event)
    expect(said.split('\n')).toHaveLength(2)
  })

  test('numbers that no double holds, and white space in data, come back', async () => {
    const json = '{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"n":\n 12345678901234567890 }}'
    await writeArchive(folder, [archived(json, [])])
    const { said } = await weirIn(cwd, ['archive', 'cat', 'events-2@0', 'files'])
    expect(said).toBe('{"id":"1","source":"/s","specversion":"1.0","type":"t","data":{"n":  12345678901234567890 }}\n')
  })

  test('prints all events of a file, by its path or its name in the archive', async () => {
    const some = [0, 1, 2].map((offset) => plainRow(offset))
    const name = await writeArchive(folder, some)
    for (const argv of [[join('files', name)], [join(folder, name)], [name, 'files'], [`file://${folder}/${name}`]]) {
      const { code, said } = await weirIn(cwd, ['archive', 'cat', ...argv])
      expect(code).toBe(0)
      const events = said
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { id: string; time: string })
      expect(events.map(({ id, time }) => [id, time])).toEqual(some.map(({ id, time }) => [id, time]))
    }
    const inside = await weirIn(folder, ['archive', 'cat', name])
    expect(inside.said.split('\n')).toHaveLength(4)
  })

  test('prints all events of a batch, of several files too', async () => {
    await writeArchive(folder, [plainRow(0), plainRow(7, { id: 'a' }), plainRow(7, { id: 'b' }), plainRow(8)])
    await writeArchive(folder, [plainRow(7, { id: 'c' })], { version: 'v2' })
    const { said } = await weirIn(cwd, ['archive', 'cat', 'orders-0@7', 'files'])
    expect(
      said
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { id: string }).id)
        .sort(),
    ).toEqual(['a', 'b', 'c'])
  })

  test.each([
    [['orders-0@5', 'files'], 1, /no file of .* has orders-0@5/],
    [['orders-1@0', 'files'], 1, /no file of .* has orders-1@0/],
    [['what', 'files'], 2, /'what' is no file of an archive, and no offset such as events-0@42/],
    [['a/v1/dt=2026-01-01/pid=0/x.parquet', 'files'], 2, /there is no file:.*x\.parquet/],
  ] as const)('says that there is no %s', async (argv, code, why) => {
    await writeArchive(folder, [plainRow(0)])
    const result = await weirIn(cwd, ['archive', 'cat', ...argv])
    expect(result.code).toBe(code)
    expect(result.said).toMatch(why)
  })
})

describe('weir archive replay --dry-run', () => {
  const replay = (...argv: string[]) =>
    weirIn(cwd, ['archive', 'replay', 'orders', 'files', '--to', 'copy', '--dry-run', ...argv])

  beforeEach(async () => {
    await files(0, 100)
    await writeArchive(folder, rows(0, 49, { partition: 1 }), { format: avroFormat('null') })
  })

  test('says what would be written, and connects to nothing', async () => {
    const { code, said } = await replay()
    expect(code).toBe(0)
    expect(said).toMatch(/^0 +200 +200 +0 to 199 +2026-01-01T00:00:00\.005Z +2026-01-01T00:00:01\.995Z$/m)
    expect(said).toMatch(/^1 +50 +50 +0 to 49 /m)
    expect(said).toContain('250 records would be written')
  })

  test.each([
    [['--type', 'order.paid'], 67 + 17],
    [['--type', 'order.paid', '--type', 'order.shipped'], 67 + 66 + 17 + 16],
    [['--since', '2026-01-01T00:00:01Z'], 100],
    [['--until', '2026-01-01T00:00:01Z'], 150],
    [['--since', '2026-01-01T00:00:00.100Z', '--until', '2026-01-01T00:00:00.200Z'], 20],
    [['--offsets', '0@50-149'], 100],
    [['--offsets', '1@10-'], 40],
    [['--offsets', '1@-9', '--offsets', '0@190-'], 20],
    [['--since', '2027-01-01'], 0],
  ] as const)('takes %s', async (argv, count) => {
    expect((await replay(...argv)).said).toContain(`${count} record${count === 1 ? '' : 's'} would be written`)
  })

  test.each([
    [['--since', 'soon'], /--since: 'soon' is no time/],
    [['--offsets', '5-6'], /--offsets: '5-6' are no offsets of a partition/],
  ] as const)('refuses %s', async (argv, why) => {
    const { code, said } = await replay(...argv)
    expect(code).toBe(2)
    expect(said).toMatch(why)
  })

  test('says which topics there are', async () => {
    const { code, said } = await weirIn(cwd, ['archive', 'replay', 'order', 'files', '--to', 'copy'])
    expect(code).toBe(2)
    expect(said).toMatch(/has nothing of 'order': there is topic orders/)
  })
})
