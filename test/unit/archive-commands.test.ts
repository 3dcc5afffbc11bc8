import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { avroFormat } from '../../src/codecs/avro/avro-format.js'
import { parquetFormat } from '../../src/codecs/parquet/parquet-format.js'
import { countingCommands } from '../../src/sinks/archive/commands.js'
import { storeOptions } from '../../src/sinks/archive/open-store.js'
import { fileOf, plainRow } from '../support/archive-rows.js'
import { DuckDb } from '../support/duckdb.js'

const commandsOf = (store: object, format: 'parquet' | 'avro' = 'parquet') =>
  countingCommands(storeOptions.parse(store), format)

/** What a shell hands to DuckDB. */
function sqlOf(command = ''): string {
  const script = `duckdb() { printf '%s|' "$@"; }; ${command}`
  const [option, sql = ''] = execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('|')
  expect(option).toBe('-c')
  return sql
}

const query = "select type, count(*) from 's3://events/shop/**/*.parquet' group by 1"

describe('an archive is counted', () => {
  test.each(['archive', 'it\'s $HOME `x` "here"', 'a [b] *? {c}', 'ends/'])('in the folder %j', async (name) => {
    const base = mkdtempSync(join(tmpdir(), 'weir-commands-'))
    onTestFinished(() => rmSync(base, { recursive: true }))
    const folder = join(base, name, 'events', 'v1')
    mkdirSync(folder, { recursive: true })
    const rows = Array.from({ length: 30 }, (_, offset) => plainRow(offset))
    writeFileSync(join(folder, 'one.parquet'), await fileOf(parquetFormat('none'), rows))
    const duckdb = await DuckDb.start()
    onTestFinished(() => duckdb.close())
    const [command, ...more] = commandsOf({ backend: 'file', path: `${base}/${name}` })
    expect(more).toEqual([])
    const counts = await duckdb.query<{ type: string }>(`${sqlOf(command)} order by 1`)
    expect(counts.map(({ type }) => type)).toEqual(['order.created', 'order.paid', 'order.shipped'])
  })

  test('in a folder whose name a shell would read otherwise', () => {
    const [command] = commandsOf({ backend: 'file', path: '\\n"$(false)`' })
    expect(sqlOf(command)).toContain('from \'\\n"$(false)`/**/')
  })

  test('of Avro with the extension that reads it', () => {
    const [command] = commandsOf({ backend: 'file', path: '.weir/archive' }, 'avro')
    expect(sqlOf(command)).toBe(
      "install avro; load avro; select type, count(*) from read_avro('.weir/archive/**/*.avro') group by 1",
    )
  })

  test.each([
    [{}, 'create secret (type s3, provider credential_chain)'],
    [{ region: 'eu-west-1' }, "create secret (type s3, provider credential_chain, region 'eu-west-1')"],
    [
      { endpoint: 'http://127.0.0.1:7070' },
      "create secret (type s3, provider credential_chain, endpoint '127.0.0.1:7070', use_ssl false, url_style 'path')",
    ],
    [
      { endpoint: 'https://s3.example.com', pathStyle: false },
      "create secret (type s3, provider credential_chain, endpoint 's3.example.com')",
    ],
  ])('in S3 with %j', (options, secret) => {
    const [command, ...more] = commandsOf({ backend: 's3', bucket: 'events', prefix: 'shop', ...options })
    expect(more).toEqual([])
    expect(sqlOf(command)).toBe(`${secret}; ${query}`)
  })

  test.each([
    [
      { backend: 's3', bucket: 'events', accessKeyId: 'me', secretAccessKey: 'hunter2' },
      "type s3, key_id '…', secret '…'",
    ],
    [{ backend: 'gcs', bucket: 'events' }, "type gcs, key_id '…', secret '…'"],
    [
      {
        backend: 'azure',
        container: 'events',
        connectionString:
          'DefaultEndpointsProtocol=https;AccountName=me;AccountKey=hunter2;EndpointSuffix=core.windows.net',
      },
      "type azure, connection_string '…'",
    ],
  ])('with what is left blank: %j', (store, secret) => {
    const [remark, command, ...more] = commandsOf(store)
    expect([remark, more]).toEqual(["# with the account's own in place of …:", []])
    expect(sqlOf(command)).toContain(`create secret (${secret}); select`)
    expect(command).not.toContain('hunter2')
  })

  test('in Azure with the name of its account', () => {
    const [command] = commandsOf({
      backend: 'azure',
      container: 'events',
      url: 'https://shop.blob.core.windows.net?sig=x',
    })
    expect(sqlOf(command)).toBe(
      "create secret (type azure, provider credential_chain, account_name 'shop'); select type, count(*) from 'azure://events/**/*.parquet' group by 1",
    )
  })
})

test('what is written for a format is in files of its name', () => {
  expect([parquetFormat('none').extension, avroFormat('null').extension]).toEqual(['parquet', 'avro'])
})
