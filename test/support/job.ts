import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { onTestFinished } from 'vitest'
import type { KafkaCluster } from '../servers/kafka-broker.js'
import type { PostgresServer } from '../servers/postgres-server.js'
import { freePort } from '../servers/server-support.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Servers {
  readonly kafka: KafkaCluster
  readonly postgres: PostgresServer
}

/** What `user_activity_metrics` says of a window; `start` in ms. */
export interface Row {
  readonly start: number
  readonly users: number
  readonly views: number
}

export interface LogLine {
  readonly level?: string | number
  readonly msg?: string
  readonly flow?: string
  readonly stage?: string
  readonly state?: string
  readonly code?: string
  /** Which of several workers says it, or which one the supervisor speaks of. */
  readonly worker?: number
  readonly pid?: number
  readonly records?: number
}

/** What a POST is answered with. */
export interface Answer {
  readonly faults?: readonly { readonly index?: number; readonly path: string }[]
}

/** The project's own job, with a topic, a group and a database that no other test uses. */
export class Job {
  private constructor(
    readonly servers: Servers,
    readonly name: string,
    readonly environment: Readonly<Record<string, string>>,
  ) {}

  static async create(servers: Servers, environment: Readonly<Record<string, string>> = {}): Promise<Job> {
    const name = `job_${process.pid}_${Date.now().toString(36)}_${named++}`
    await servers.postgres.query(`CREATE DATABASE ${name}`)
    return new Job(servers, name, environment)
  }

  get topic(): string {
    return `${this.name}.activity`
  }

  get deadLetterTopic(): string {
    return `${this.name}.activity-metrics.dead-letters`
  }

  get windowMs(): number {
    return Number(this.settings.FLUSH_INTERVAL_SEC) * 1_000
  }

  get latenessMs(): number {
    return Number(this.settings.ALLOWED_LATENESS_SEC) * 1_000
  }

  get settings() {
    return {
      KAFKA_BROKERS: this.servers.kafka.bootstrap,
      DATABASE_URL: this.servers.postgres.url.replace(/\/postgres$/, `/${this.name}`),
      KAFKA_TOPIC: this.topic,
      KAFKA_GROUP_ID: `${this.name}.group`,
      WEIR_APP: this.name,
      FLUSH_INTERVAL_SEC: '1',
      ALLOWED_LATENESS_SEC: '1',
      IDLE_AFTER_SEC: '1',
      ...this.environment,
    }
  }

  /** A worker of this job that runs and takes records. It ends with the test. */
  async started(environment: Readonly<Record<string, string>> = {}): Promise<Worker> {
    const worker = await this.worker(environment)
    worker.start()
    await worker.ready()
    return worker
  }

  /** A worker that is not started yet. */
  async worker(environment: Readonly<Record<string, string>> = {}): Promise<Worker> {
    const worker = new Worker({ ...this.settings, ...environment, SERVER_PORT: String(await freePort()) })
    onTestFinished(() => worker.kill())
    return worker
  }

  /** The rows as they are, oldest window first; a window that has two shows twice. */
  async rows(): Promise<Row[]> {
    const found = await this.query<{ start: string; users: number; views: string }>(
      `SELECT extract(epoch from timestamp) * 1000 AS start, unique_users AS users, page_view_count AS views
       FROM user_activity_metrics ORDER BY timestamp, id`,
    )
    return found.map(({ start, users, views }) => ({ start: Number(start), users, views: Number(views) }))
  }

  async query<R extends pg.QueryResultRow>(text: string): Promise<R[]> {
    const session = await this.session()
    try {
      return (await session.query<R>(text)).rows
    } finally {
      await session.end()
    }
  }

  /** Keeps the table of results from being written. Returns what lets it go. */
  async lockTable(): Promise<() => Promise<void>> {
    const session = await this.session()
    await session.query('BEGIN; LOCK TABLE user_activity_metrics')
    return () => session.end()
  }

  private async session(): Promise<pg.Client> {
    const session = new pg.Client({ connectionString: this.settings.DATABASE_URL })
    session.on('error', () => undefined)
    await session.connect()
    return session
  }
}

/** `weir run` as a process; its port stays the same over restarts. */
export class Worker {
  /** What it logged, over all its lives. */
  readonly log: LogLine[] = []
  private process: ChildProcess | undefined
  /** Resolves behind all that it has said. */
  private closed: Promise<unknown> = Promise.resolve()
  private said = ''

  constructor(
    private readonly environment: Readonly<Record<string, string>>,
    /** The flows it runs; those that the configuration says, if none is named. */
    private readonly flows: readonly string[] = [],
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.environment['SERVER_PORT']}`
  }

  start(): void {
    const child = spawn(process.execPath, ['bin/weir.js', 'run', ...this.flows], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...this.environment },
    })
    let line = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (line + text).split('\n')
      line = lines.pop() ?? ''
      this.log.push(...lines.map(parsed))
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.said += text
    })
    this.process = child
    this.closed = once(child, 'close')
    running.add(child)
    child.once('exit', () => running.delete(child))
  }

  get isRunning(): boolean {
    return this.process !== undefined && this.process.exitCode === null && this.process.signalCode === null
  }

  /** Resolves when `/ready` says so. */
  async ready(ms = 120_000): Promise<void> {
    await until(async () => (await this.get('/ready')).status === 200, 'the worker is ready', ms).catch((error) => {
      throw new Error(`${String(error)}\n${this.said}${this.log.map((line) => JSON.stringify(line)).join('\n')}`)
    })
  }

  /** Status and body of a GET; status 0 when nobody listens. */
  async get(path: string): Promise<{ status: number; text: string }> {
    try {
      const answer = await fetch(this.url + path, { signal: AbortSignal.timeout(60_000) })
      return { status: answer.status, text: await answer.text() }
    } catch (error) {
      return { status: 0, text: String(error) }
    }
  }

  async post(body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<{ status: number; body: Answer }> {
    const answer = await fetch(`${this.url}/activity`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
    return { status: answer.status, body: (await answer.json()) as Answer }
  }

  signal(signal: NodeJS.Signals): void {
    this.process?.kill(signal)
  }

  /** As a power cut. */
  async kill(): Promise<void> {
    if (!this.isRunning) return
    const exited = once(this.process as ChildProcess, 'exit')
    this.signal('SIGKILL')
    await exited
  }

  /** The exit code, or the signal that ended it; undefined when it runs on after that time. */
  async exit(ms = 100_000): Promise<number | NodeJS.Signals | undefined> {
    const { process: child } = this
    if (child === undefined) return undefined
    await Promise.race([this.closed, sleep(ms, undefined, { ref: false })])
    return child.exitCode ?? child.signalCode ?? undefined
  }

  /** Tells it to stop. Resolves as `exit` does. */
  stop(): ReturnType<Worker['exit']> {
    this.signal('SIGTERM')
    return this.exit()
  }

  /** The present and the highest resident memory, MiB. */
  memory(): { now: number; most: number } {
    const status = readFileSync(`/proc/${this.process?.pid}/status`, 'utf8')
    const field = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1_024
    return { now: field('VmRSS'), most: field('VmHWM') }
  }

  /** How many files and threads it has open. */
  handles(): { files: number; threads: number } {
    const count = (what: string) => readdirSync(`/proc/${this.process?.pid}/${what}`).length
    return { files: count('fd'), threads: count('task') }
  }

  /** The value of a metric, by its name and some of its labels. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number | undefined> {
    const { text } = await this.get('/metrics')
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
    const line = text.split('\n').find((each) => {
      return (
        (each.startsWith(`${name} `) || each.startsWith(`${name}{`)) && wanted.every((label) => each.includes(label))
      )
    })
    return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ')))
  }
}

export async function until(condition: () => Promise<boolean> | boolean, what: string, ms = 120_000): Promise<void> {
  const deadline = Date.now() + ms
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms in vain until ${what}`)
    await sleep(50)
  }
}

function parsed(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return { msg: line }
  }
}

let named = 0
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
