import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { ReadRow } from '../support/archive-rows.js'
import { python } from './python-install.js'

const script = fileURLToPath(new URL('python/read_files.py', import.meta.url))
const icebergScript = fileURLToPath(new URL('python/iceberg_table.py', import.meta.url))

export interface ReadFiles {
  readonly schema: unknown
  /** Of Avro. */
  readonly codec?: string
  /** Of Parquet: each column's field id, and the least and the largest value by row group and column. */
  readonly ids?: Readonly<Record<string, number>>
  readonly statistics?: readonly Readonly<Record<string, readonly [string, string]>>[]
  /** None where they are many. */
  readonly rows: readonly ReadRow[]
  /** Of Parquet: what the footer says besides. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Of the offsets, subjects and data of many rows. */
  readonly digest?: string
}

/** A Python process that reads files with pyarrow and fastavro, and a folder for them. */
export class PythonReader {
  private readonly folder = mkdtempSync(join(tmpdir(), 'weir-archive-'))
  private readonly process: ChildProcessWithoutNullStreams
  private readonly lines: AsyncIterator<string>
  private said = ''

  constructor() {
    this.process = spawn(python, [script])
    this.process.stderr.on('data', (chunk: Buffer) => (this.said += chunk.toString()))
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]()
  }

  /** What lies in some files, one behind the other. Files of Avro have names that end so. */
  async read(files: Readonly<Record<string, Uint8Array>>): Promise<ReadFiles> {
    const paths = this.write(files)
    this.process.stdin.write(`${JSON.stringify(paths)}\n`)
    const { value, done } = await this.lines.next()
    if (done === true) throw new Error(`reading with Python: ${this.said}`)
    const answer = JSON.parse(value) as ReadFiles & { readonly error?: string }
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer
  }

  /** What a table of Iceberg has that took the files over. */
  async iceberg(files: Readonly<Record<string, Uint8Array>>): Promise<unknown> {
    const paths = this.write(files)
    const { stdout } = await promisify(execFile)(python, [icebergScript, this.folder, ...paths])
    return JSON.parse(stdout)
  }

  async close(): Promise<void> {
    this.process.stdin.end()
    if (this.process.exitCode === null) await once(this.process, 'exit')
    rmSync(this.folder, { recursive: true })
  }

  private write(files: Readonly<Record<string, Uint8Array>>): string[] {
    return Object.entries(files).map(([name, bytes]) => {
      const path = join(this.folder, name)
      writeFileSync(path, bytes)
      return path
    })
  }
}
