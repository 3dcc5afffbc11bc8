import {
  catchError,
  concat,
  concatMap,
  defer,
  EMPTY,
  ignoreElements,
  type MonoTypeOperatorFunction,
  map,
  type Observable,
  tap,
  throwError,
} from 'rxjs'
import { z } from 'zod'
import {
  type Batch,
  type Configurable,
  defineSink,
  errorPolicy,
  fn,
  type Sink,
  type SinkContext,
  type SinkTask,
  type StreamRecord,
  WeirError,
  within,
} from '../model/index.js'
import type { RedisConnection } from '../redis/connection.js'
import { redisFaults } from '../redis/faults.js'
import { KeyTypes } from '../redis/key-types.js'
import { sendAll } from '../redis/send.js'
import { RedisTransaction } from '../redis/transaction.js'
import { type PlannedCommand, WritePlan } from '../redis/write-plan.js'
import { type Operation, operationsOf, type RedisAppend, type RedisWrite } from '../redis/writes.js'
import { Batches } from './internal/batches.js'
import { retrying } from './internal/retrying.js'

/** What a value makes: one write, several, or none. */
type Writes<W> = W | readonly W[] | undefined

const options = z.strictObject({
  write: fn<(value: never, record: StreamRecord) => Writes<RedisWrite | RedisAppend>>().describe(
    'What a value sets: a field of a hash, a member of a sorted set, a string, an entry of a stream; one, a list, or undefined.',
  ),
  append: z
    .boolean()
    .default(false)
    .describe(
      'Whether `write` may add to streams. A replay adds again, unless Redis keeps the checkpoints of the flow.',
    ),
  batchSize: z.int().min(1).default(1_000).describe('How many values are sent together; a `Batch` always is one.'),
  retries: z.int().min(0).default(3).describe('How often a failed write is tried again, outside of a transaction.'),
  onError: errorPolicy
    .optional()
    .describe(
      'What becomes of a record that Redis refuses: `fail`, `dead-letter` (the default), `skip` or `retry({ tiers })`.',
    ),
  connection: z.string().optional().describe('The Redis connection, where there are several.'),
  name: z
    .string()
    .min(1)
    .optional()
    .describe("Names the stage in graphs, logs and metrics; the sink's name if not given."),
})

/**
 * Writes to Redis. When Redis keeps the flow's checkpoints, positions, state and writes go there in one script at the
 * end of the epoch. On its own, or on a cluster, it writes as records come: a replay sets the same values again. A
 * record is rejected when Redis refuses one of its writes; the others are carried out.
 */
export const redisSink = defineSink({
  name: 'redis.sink',
  summary: 'Writes hashes, sorted sets, strings and streams to Redis.',
  connection: 'redis',
  options,
  onError: 'dead-letter',
  guarantee: ({ append }, joins) => (joins ? 'exactly-once' : append ? 'at-least-once' : 'effectively-once'),
  transactional: true,
  build: (settings, context) => new RedisSinkTask(settings, context),
})

const doing = 'writing to Redis'

/** What was not carried out, and why. */
type Failure<C> = readonly [C, Error]

const isRefusal = ([, error]: Failure<unknown>) => redisFaults.of(error) === 'record'

class RedisSinkTask implements SinkTask {
  private readonly connection: RedisConnection
  private readonly batches: Batches<readonly Operation[]>

  constructor(
    private readonly settings: z.output<typeof options>,
    private readonly context: SinkContext,
  ) {
    this.connection = context.connection<RedisConnection>('redis', settings.connection)
    this.batches = new Batches(settings, context, doing, (record) => this.made(record))
  }

  open(): Observable<never> {
    return this.connection
      .run((client) => client.ping())
      .pipe(ignoreElements(), this.failing(`opening ${this.connection.address}`))
  }

  write(records$: Observable<StreamRecord>): Observable<never> {
    return defer(() => {
      const transaction = this.context.transaction(this.connection)
      const batches$ = this.batches.of(records$).pipe(map((batch) => batch.flat()))
      return transaction instanceof RedisTransaction
        ? this.join(batches$, transaction)
        : batches$.pipe(concatMap((operations) => this.writeAlone(operations)))
    })
  }

  /** The last writes of the epoch go into its script; what would fail there is rejected before. */
  private join(batches$: Observable<readonly Operation[]>, transaction: RedisTransaction): Observable<never> {
    const plan = new WritePlan()
    const types = new KeyTypes(transaction.isCareful)
    const learn = (operations: readonly Operation[]) =>
      this.connection.run((client) => types.learn(client, operations)).pipe(this.failing(doing))
    return concat(
      batches$.pipe(
        concatMap((operations) => learn(operations).pipe(tap(() => this.plan(operations, plan, types)))),
        ignoreElements(),
      ),
      defer(() => {
        for (const command of plan.commands()) transaction.join(command)
        return EMPTY
      }),
    )
  }

  private plan(operations: readonly Operation[], plan: WritePlan, types: KeyTypes): void {
    const refused: Failure<Operation>[] = []
    for (const operation of operations) {
      const refusal = types.admit(operation)
      if (refusal === undefined) plan.add(operation)
      else refused.push([operation, refusal])
    }
    this.reject(refused)
  }

  private writeAlone(operations: readonly Operation[]): Observable<never> {
    const plan = new WritePlan()
    for (const operation of operations) plan.add(operation)
    let left = plan.commands()
    return defer(() => this.connection.run((client) => sendAll(client, left))).pipe(
      tap((errors) => {
        const failed = left.flatMap((command, index): Failure<PlannedCommand>[] => {
          const error = errors[index]
          return error === undefined ? [] : [[command, error]]
        })
        this.reject(failed.filter(isRefusal))
        const again = failed.filter((failure) => !isRefusal(failure))
        left = again.map(([command]) => command)
        if (again[0] !== undefined) throw again[0][1]
      }),
      retrying({ retries: this.settings.retries, doing, faults: redisFaults, context: this.context }),
      ignoreElements(),
      this.failing(doing, operations[0]?.records[0]),
    )
  }

  /** Each record once, however much of what it asked for was refused. */
  private reject(refused: readonly Failure<Pick<Operation, 'key' | 'records'>>[]): void {
    const rejected = new Set<StreamRecord>()
    for (const [{ key, records }, error] of refused) {
      const message = `writing to key '${key}': ${redisFaults.text(error)}`
      const refusal = new WeirError('WEIR_RECORD_REFUSED', message, { cause: error })
      for (const record of records) {
        if (!rejected.has(record)) this.context.reject(record, refusal)
        rejected.add(record)
      }
    }
  }

  private made(record: StreamRecord): readonly Operation[] {
    const writes = this.settings.write(record.value as never, record) ?? []
    return [writes].flat().flatMap((write) => operationsOf(this.allowed(write), record))
  }

  private allowed(write: RedisWrite | RedisAppend): RedisWrite | RedisAppend {
    if (!('stream' in write) || this.settings.append) return write
    throw new WeirError('WEIR_CONFIG_INVALID', `${doing}: \`write\` adds to stream '${write.stream}'`, {
      hint: 'Give the sink `append: true`, if a replay may add to it again.',
    })
  }

  private failing<T>(what: string, record?: StreamRecord): MonoTypeOperatorFunction<T> {
    return catchError((error: unknown) =>
      throwError(() => within(redisFaults.as(error, what, 'WEIR_SINK_UNREACHABLE', 'WEIR_SINK_FAILED'), record)),
    )
  }
}

type Write<T, W> = (value: T, record: StreamRecord<T>) => Writes<W>

/** The options of `redis.sink`, with a `write` that sees the values of the flow. */
export type RedisSinkOptions<T> = Configurable<Omit<z.input<typeof options>, 'write' | 'append'>> &
  (
    | { readonly write: Write<T, RedisWrite>; readonly append?: false }
    | { readonly write: Write<T, RedisWrite | RedisAppend>; readonly append: true }
  )

/** Writes what a flow's values, or each of the values that `batch` gathered, set in Redis. */
export function sink<T>(options: RedisSinkOptions<T>): Sink<T | Batch<T>> {
  return redisSink.declare(options)
}
