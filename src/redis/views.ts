import { catchError, filter, ignoreElements, type Observable, throwError } from 'rxjs'
import {
  type EpochTransaction,
  putRow,
  refusedError,
  type ViewClaim,
  type ViewContent,
  type ViewPart,
  type ViewStorage,
  type ViewTables,
  type ViewWrite,
} from '../model/index.js'
import type { RedisClient, RedisConnection } from './connection.js'
import { redisFaults } from './faults.js'
import { carryingOut, keysOf, takingWords, toCarryOut } from './scripts.js'
import { send } from './send.js'
import { RedisTransaction } from './transaction.js'
import { type RedisCommand, WritePlan } from './write-plan.js'

/**
 * A part is a hash of what is known of it, and a hash for each of its tables, whose values are JSON. What is between the
 * braces decides where a cluster keeps a key, so all keys of a part lie together.
 */
const partKey = ({ view, part }: ViewPart) => `weir:view:{${view} ${part}}`
const tableKey = (part: string, table: string) => `${part}:${table}`
const partsKey = (view: string) => `weir:views:${view}`

/** Fields of a part's hash that name its tables begin so. */
const tablePrefix = 'table:'

const claimScript = `
  redis.call('HSET', KEYS[1], 'generation', ARGV[1])
  return redis.call('HGET', KEYS[1], 'sequence')`

/** Answers with the generation that has the part, when that is not the given one, or false when it is. */
const writeScript = `
  ${takingWords}
  local given = take()
  local held = redis.call('HGET', KEYS[1], 'generation')
  if held ~= given then return held or '' end
  ${carryingOut}
  return false`

/** What is known of a part, as it is stored. */
type Facts = ReadonlyMap<string, string>

/** Views in hashes: one for each table and part. */
export class RedisViews implements ViewStorage {
  constructor(private readonly connection: RedisConnection) {}

  open(): Observable<never> {
    return this.run('opening the storage of views', (client) => client.ping()).pipe(ignoreElements())
  }

  claim(claim: ViewClaim): Observable<number | undefined> {
    return this.run(`claiming a part of view ${claim.view}`, async (client) => {
      await client.sadd(partsKey(claim.view), claim.part)
      const sequence = await send(client, ['eval', claimScript, 1, partKey(claim), claim.generation])
      return sequence === null ? undefined : Number(sequence)
    })
  }

  write(write: ViewWrite, transaction?: EpochTransaction): Observable<never> {
    return this.run(`writing view ${write.view}`, async (client) => {
      const key = partKey(write)
      const facts = await client.hgetall(key)
      refuseOthers(write, facts['generation'] ?? '')
      const commands = commandsOf(write, tablesOf(Object.keys(facts)))
      if (transaction instanceof RedisTransaction) for (const command of commands) transaction.join(command)
      else await this.carryOut(client, write, commands)
    }).pipe(ignoreElements())
  }

  read(view: string, known?: string): Observable<ViewContent> {
    return this.run(`reading view ${view}`, async (client) => {
      const parts = (await client.smembers(partsKey(view))).sort()
      const keys = parts.map((part) => partKey({ view, part }))
      const state = await Promise.all(keys.map((key) => client.hmget(key, 'generation', 'writes')))
      if (JSON.stringify(state) === known) return undefined
      return contentOf(await Promise.all(keys.map((key) => readPart(client, key))))
    }).pipe(filter((content) => content !== undefined))
  }

  private async carryOut(client: RedisClient, write: ViewWrite, commands: readonly RedisCommand[]): Promise<void> {
    const keys = keysOf(partKey(write), commands)
    const words = ['eval', writeScript, keys.length, ...keys, write.generation, ...toCarryOut(commands)]
    const held = (await send(client, words)) as string | null
    if (held !== null) refuseOthers(write, held)
  }

  private run<T>(doing: string, work: (client: RedisClient) => Promise<T>): Observable<T> {
    return this.connection
      .run(work)
      .pipe(
        catchError((error: unknown) =>
          throwError(() => redisFaults.as(error, doing, 'WEIR_SINK_UNREACHABLE', 'WEIR_SINK_UNREACHABLE')),
        ),
      )
  }
}

function refuseOthers(write: ViewWrite, held: string): void {
  if (held !== String(write.generation)) throw refusedError(write, held === '' ? undefined : Number(held))
}

function commandsOf(write: ViewWrite, tables: readonly string[]): readonly RedisCommand[] {
  const { sequence, replaces, rows, removed, at } = write
  const part = partKey(write)
  const dropped = replaces ? tables.map((table) => tableKey(part, table)) : []
  const plan = new WritePlan()
  const change = (verb: 'hset' | 'hdel', table: string, key: string, value: readonly string[]) =>
    plan.add({ verb, key: tableKey(part, table), type: 'hash', part: key, words: [key, ...value], records: [] })
  for (const { table, key } of removed) change('hdel', table, key, [])
  for (const { table, key, value } of rows) change('hset', table, key, [JSON.stringify(value)])
  const named = [...new Set(rows.map(({ table }) => table))].flatMap((table) => [`${tablePrefix}${table}`, ''])
  return [
    ...dropped.map((key) => ({ key, words: ['del', key] })),
    ...plan.commands(),
    { key: part, words: ['hset', part, 'sequence', sequence, 'at', at, ...named] },
    { key: part, words: ['hincrby', part, 'writes', 1] },
  ]
}

interface ReadPart {
  readonly facts: Facts
  readonly tables: ReadonlyMap<string, Facts>
}

/** What is known of a part and what is in its tables, of one moment. */
async function readPart(client: RedisClient, part: string): Promise<ReadPart> {
  for (let names = tablesOf(await client.hkeys(part)); ; ) {
    const keys = [part, ...names.map((table) => tableKey(part, table))]
    const reading = client.multi()
    for (const key of keys) reading.hkeys(key).hvals(key)
    const answers = ((await reading.exec()) ?? []).map(([error, answer]) => {
      if (error !== null) throw error
      return answer as string[]
    })
    const [facts = new Map<string, string>(), ...tables] = keys.map((_, index) =>
      factsOf(answers[2 * index] ?? [], answers[2 * index + 1] ?? []),
    )
    const named = tablesOf(facts.keys())
    // A table that has come in between has to be read with the others.
    if (named.every((name) => names.includes(name)))
      return { facts, tables: new Map(names.map((name, index) => [name, tables[index] ?? new Map<string, string>()])) }
    names = named
  }
}

function contentOf(parts: readonly ReadPart[]): ViewContent {
  const tables = new Map<string, Map<string, unknown>>()
  for (const part of parts) {
    for (const [table, rows] of part.tables) {
      for (const [key, value] of rows) putRow(tables, { table, key, value: JSON.parse(value) })
    }
  }
  const facts = parts.map((part) => part.facts)
  return {
    tag: JSON.stringify(facts.map((known) => [known.get('generation') ?? null, known.get('writes') ?? null])),
    at: Math.max(0, ...facts.map((known) => Number(known.get('at') ?? 0))),
    isWhole: facts.some((known) => known.has('sequence')),
    tables: tables satisfies ViewTables,
  }
}

function factsOf(names: readonly string[], values: readonly string[]): Facts {
  return new Map(names.map((name, index) => [name, values[index] ?? '']))
}

function tablesOf(names: Iterable<string>): readonly string[] {
  return [...names].filter((name) => name.startsWith(tablePrefix)).map((name) => name.slice(tablePrefix.length))
}
