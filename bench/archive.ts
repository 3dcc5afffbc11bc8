/**
 * Throughput: CloudEvents of about 400 bytes from three partitions into Parquet files of 100,000, compressed with zstd: by
 * a loop in Python and one in Node, and as a flow, to a folder and to S3, in turn. All have to write the same rows.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BlobServer, s3Account } from '../test/servers/blob-servers.js'
import { missingPython } from '../test/servers/python-install.js'
import { DuckDb } from '../test/support/duckdb.js'
import { loadCloudEvents } from './support/load.js'
import { withKafka } from './support/servers.js'
import { medianRate, takeTurns } from './support/throughput.js'

const events = Number(process.env['EVENTS'] ?? 1_000_000)
const rounds = Number(process.env['ROUNDS'] ?? 5)
const rowsPerFile = 100_000
const [python, node, weir, s3] = [
  { name: 'python', script: 'archive-loop.py' },
  { name: 'node', script: 'archive-loop' },
  { name: 'weir', script: 'archive-weir' },
  { name: 's3', script: 'archive-weir' },
] as const

const missing = missingPython()
if (missing !== undefined) throw new Error(missing)

await withKafka(async (brokers) => {
  const server = await BlobServer.s3(s3Account)
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  try {
    const topic = `archive-${Date.now()}`
    console.log(`loading ${events} events …`)
    await loadCloudEvents(brokers, topic, events, 100_000)
    const bucket = join(server.directory, 'data', s3Account.bucket)
    const filesOf = (name: string) => (name === 's3' ? bucket : join(folder, name))
    const store = { backend: 's3', ...s3Account, endpoint: server.url, region: 'us-east-1' }
    const shared = { BROKERS: brokers, TOPIC: topic, EVENTS: String(events), ROWS_PER_FILE: String(rowsPerFile) }
    let expected: string | undefined
    const resultsOf = await takeTurns(
      'archive',
      rounds,
      [python, node, weir, s3],
      (run, name) => {
        mkdirSync(filesOf(name), { recursive: true })
        return { ...shared, RUN: run, FILES: filesOf(name), ...(name === 's3' ? { STORE: JSON.stringify(store) } : {}) }
      },
      {
        verify: async (name) => {
          const rows = await rowsIn(filesOf(name))
          if ((expected ??= rows) !== rows) throw new Error(`${name} wrote ${rows}, not ${expected}`)
          rmSync(name === 's3' ? join(bucket, topic) : folder, { recursive: true })
        },
      },
    )
    const rates = new Map([python, node, weir, s3].map(({ name }) => [name, medianRate(resultsOf(name))] as const))
    console.log(`archive, medians: ${[...rates].map(([name, rate]) => `${name} ${rate}/s`).join(', ')}`)
    const compare = (
      one: typeof weir | typeof s3,
      other: typeof python | typeof node | typeof weir,
      wanted: number,
    ) => {
      const ratio = (rates.get(one.name) ?? 0) / (rates.get(other.name) ?? 0)
      console.log(`archive, ${one.name} to ${other.name}: ${ratio.toFixed(3)} (at least ${wanted} is wanted)`)
    }
    compare(weir, python, 1.5)
    compare(weir, node, 2)
    compare(s3, weir, 0.9)
    const most = Math.max(...[weir, s3].flatMap(({ name }) => resultsOf(name).map(({ rssMiB }) => rssMiB)))
    console.log(`archive, most memory of the flow: ${most} MiB (less than 500 is wanted)`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
    await server.close()
  }
})

/** What lies in all files of a folder, in a form that is the same for the same rows. Errors when one is not there once. */
async function rowsIn(folder: string): Promise<string> {
  const duckdb = await DuckDb.start()
  try {
    const [found = {}] = await duckdb.query<Record<string, number | string>>(`
      select count(*)::int as rows, count(distinct (kafka_partition, kafka_offset))::int as places,
        count(distinct id)::int as ids, max(of_file)::int as most,
        bit_xor(hash(id, source, type, subject, epoch_us(time), datacontenttype, dataschema, data, kafka_topic,
          kafka_partition, kafka_offset, epoch_us(kafka_timestamp), kafka_key::blob))::text as sum
      from (select *, count(*) over (partition by filename) as of_file
        from read_parquet('${folder}/**/*.parquet', filename = true))`)
    const { rows, places, ids, most, sum } = found
    if (rows !== events || places !== events || ids !== events || Number(most) > rowsPerFile)
      throw new Error(`expected ${events} events, each once: ${JSON.stringify(found)}`)
    return `${rows} rows, ${sum}`
  } finally {
    duckdb.close()
  }
}
