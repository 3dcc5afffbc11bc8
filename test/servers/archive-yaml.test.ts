import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DuckDb } from '../support/duckdb.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

let cwd: string
let child: ChildProcess | undefined
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'weir-archive-yaml-'))
})
afterEach(async () => {
  if (child?.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  rmSync(cwd, { recursive: true, maxRetries: 5 })
})

/** How many records the names of all files tell. */
function archived(folder: string): number {
  const names = readdirSync(folder, { recursive: true }).map(String)
  return names.reduce((sum, name) => sum + Number(/_count(\d+)\.parquet$/.exec(name)?.[1] ?? 0), 0)
}

test('a worker that is configured by config/application.yaml alone archives what it says', async () => {
  const archive = join(cwd, 'kept')
  mkdirSync(archive)
  mkdirSync(join(cwd, 'config'))
  writeFileSync(
    join(cwd, 'config/application.yaml'),
    `kafka:
  bootstrap_servers: \${BROKERS:-embedded}
  consumer: { group_id: from-the-file, topics: [from.the.file] }
storage:
  backend: file
  compression: snappy
  file: { base_path: "\${KEPT}" }
file_rotation: { max_records_per_file: 50, max_duration_seconds: 1 }
`,
  )
  writeFileSync(
    join(cwd, 'flows.config.ts'),
    `import { defineConfig, kafka } from 'weirflow'
import { archiveFile } from '${root}src/flows/archive-file.js'
import { archiveGenerator } from '${root}src/flows/archive-generator.js'
import { eventArchive } from '${root}src/flows/event-archive.js'
export default defineConfig({
  connections: { kafka: kafka({ brokers: archiveFile.at('kafka.bootstrap_servers') }) },
  flows: { generator: archiveGenerator, archive: eventArchive },
})
`,
  )
  let log = ''
  child = spawn(process.execPath, [join(root, 'bin/weir.js'), 'run', '--port', '0', '--host', '127.0.0.1'], {
    cwd,
    env: { PATH: process.env['PATH'], KEPT: archive, ARCHIVE_LIMIT: '3000', ARCHIVE_RATE: '5000' },
  })
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (log += String(text)))

  for (const end = Date.now() + 200_000; archived(archive) < 3_000; await sleep(100))
    if (Date.now() > end || child.exitCode !== null)
      throw new Error(`${archived(archive)} of 3,000 are archived:\n${log}`)
  const duck = await DuckDb.start()
  try {
    const files = `read_parquet('${archive}/from.the.file/*/*/*/*.parquet')`
    const [count] = await duck.query(`SELECT count(*)::INT AS rows, count(DISTINCT id)::INT AS ids FROM ${files}`)
    expect(count).toEqual({ rows: 3_000, ids: 3_000 })
    const sizes = readdirSync(archive, { recursive: true }).map((name) =>
      Number(/_count(\d+)/.exec(String(name))?.[1] ?? 0),
    )
    expect(Math.max(...sizes)).toBe(50)
    const [meta] = await duck.query(
      `SELECT DISTINCT compression FROM parquet_metadata('${archive}/from.the.file/*/*/*/*.parquet')`,
    )
    expect(meta).toEqual({ compression: 'SNAPPY' })
  } finally {
    duck.close()
  }
})
