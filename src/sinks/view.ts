import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import {
  type Batch,
  type Configurable,
  defineSink,
  fn,
  type RejectionPolicy,
  rejectionPolicy,
  type Sink,
  type StreamRecord,
} from '../model/index.js'
import type { AnswerOf, ReadTable, ViewAnswer } from './view/answers.js'
import type { EntriesOf, ViewEntry } from './view/entries.js'
import { ViewTask } from './view/task.js'

export type { ReadTable, ViewAnswer } from './view/answers.js'
export type { ViewEntry } from './view/entries.js'

const schema = z.custom<StandardSchemaV1>(
  (value) => typeof (value as StandardSchemaV1 | undefined)?.['~standard']?.validate === 'function',
  'expected a schema: zod, or anything else that speaks Standard Schema',
)

const options = z.strictObject({
  path: z
    .string()
    .startsWith('/')
    .regex(/^[^?#:*\s]*$/, 'expected a path as it is: what varies are the parameters of `query`')
    .describe('The path of the view, such as `/stats`; `<path>/stream` tells its changes.'),
  entries: fn<EntriesOf>().describe('The entries that a value makes: a table, a key in it, and the value there.'),
  query: schema
    .optional()
    .describe('The schema of the parameters besides `top`, which come as text. None are taken if not given.'),
  answer: fn<AnswerOf>()
    .optional()
    .describe(
      'What is shown: tables of keys and values, from the tables of the view and the parameters. All if not given.',
    ),
  storage: z
    .string()
    .default('memory')
    .describe('What keeps it: a connection or its kind (`postgres`, `redis`), or `memory`, that of every replica.'),
  onError: rejectionPolicy
    .optional()
    .describe(
      'What becomes of a record that `entries` throws at, or makes no entries of: `fail`, `dead-letter` or `skip`. Default `dead-letter`, or `skip` where no connection takes dead letters.',
    ),
  name: z.string().min(1).default('view').describe('Names the stage and its store: state is found again by it.'),
})

/**
 * Shows tables over HTTP. What is shown is committed: it is kept in a store of the stage, and goes to where views are kept
 * after the commit, or within it where that is the checkpoint store.
 */
export const viewSink = defineSink({
  name: 'view',
  summary: 'Shows tables of keys and values over HTTP.',
  onError: 'dead-letter',
  onErrorAlone: 'skip',
  options,
  guarantee: (_options, joins) => (joins ? 'exactly-once' : 'effectively-once'),
  transactional: true,
  stores: ({ name }) => [name],
  keepsViewsIn: ({ storage }) => storage,
  serves: ({ path }) => [`GET ${path}`],
  detail: ({ path, storage }) => `GET ${path} (${storage})`,
  build: (given, context) => new ViewTask(given, context),
})

export interface ViewOptions<V, T, Q> {
  /** The path of the view, such as `/stats`; `<path>/stream` tells its changes. */
  readonly path: string
  /**
   * The entries that a value makes. All entries of a key come from one partition: by the key of an aggregate they do.
   * Values are absolute, such as the present count.
   */
  readonly entries: (value: V, record: StreamRecord<V>) => ViewEntry<T> | readonly ViewEntry<T>[]
  /** The schema of the parameters besides `top`, which come as text. Without it none are taken. */
  readonly query?: StandardSchemaV1<unknown, Q>
  /**
   * What is shown: by name, keys and values (undefined leaves a key out), made of the view's tables and the parameters.
   * Pure; the largest numbers are put first, and `top` cuts there. Default: every table as it is.
   */
  readonly answer?: (table: ReadTable<T>, query: Q) => ViewAnswer
  /** What keeps it: a connection or its kind, or `memory`, that of every replica. Default `memory`. */
  readonly storage?: string
  /**
   * What becomes of a record that `entries` throws at, or makes no entries of. Default `dead-letter`, or `skip` where no
   * connection takes dead letters.
   */
  readonly onError?: RejectionPolicy
  /** Names the stage and its store: state is found again by it. Default `view`. */
  readonly name?: string
}

/**
 * Shows tables of keys and values over HTTP.
 *
 * `GET <path>` answers them as JSON, `{ table: { key: value } }`, with an ETag, gzip where it is asked for, and the time of
 * the latest commit in it as `weir-as-of` (and `Last-Modified`). `?top=N` shows the N largest of each table.
 * `GET <path>/stream` sends server-sent events, at most 4 a second: `view` with all of it, then `changes`, in which what is
 * no more is null. 400 tells what is wrong with the parameters; 503 with `Retry-After` says that not all of it has been
 * loaded yet. `GET /views` lists the views of the process.
 *
 * Every replica answers for the whole, and goes on while the flow is tried again. Several stages can make one view: give
 * them the same `path`, `query`, `answer` and `storage`, and names of their own.
 */
export function view<V, T = unknown, Q = unknown>(
  options: Pick<ViewOptions<V, T, Q>, Typed> & Configurable<Omit<ViewOptions<V, T, Q>, Typed>>,
): Sink<V | Batch<V>> {
  return viewSink.declare(options)
}

type Typed = 'entries' | 'query' | 'answer'
