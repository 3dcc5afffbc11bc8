import { z } from 'zod'
import {
  type Configurable,
  type Duration,
  defineSource,
  fn,
  type RejectionPolicy,
  rejectionPolicy,
  type Source,
  someTime,
} from '../model/index.js'
import { version } from '../model/version.js'
import { areHeaders, httpAddress } from './internal/http-address.js'
import { askOf } from './sse/client.js'
import { SseTask } from './sse/task.js'

/** An event as its stream has it. */
export interface SseEvent {
  /** Its own `id:`, which may be empty; undefined when it has none. */
  readonly id: string | undefined
  /** Its `event:`; undefined when it has none, which means `message`. */
  readonly type: string | undefined
  readonly data: string
}

export interface SseOptions {
  /** Where the stream is. */
  readonly url: string
  /** Headers of the request, such as `authorization`; a `user-agent` takes the place of the usual one. */
  readonly headers?: Readonly<Record<string, string>>
  /**
   * What an event is known by, whatever connection it comes over: a second one of the same is dropped. Where it gives
   * undefined, and by default: id and data together, or nothing for an event that has no id.
   */
  readonly identity?: (event: SseEvent) => string | undefined
  /** After how long without a byte a connection counts as dead, comments included. Default `'60s'`. */
  readonly idleTimeout?: Duration
  /** How long to wait before connecting again, as long as the stream says nothing else by `retry:`. Default `'1s'`. */
  readonly reconnect?: Duration
  /** The longest event, in bytes of its data. Default 512 KiB: messages of Kafka are limited to 1 MB. */
  readonly maxEventBytes?: number
  /** What becomes of an event that is longer. Default `dead-letter`, with its beginning. */
  readonly onError?: RejectionPolicy
  /** Names the stage in graphs, logs and metrics, and its state: under another name it begins anew. Default `sse`. */
  readonly name?: string
}

export const sseDefinition = defineSource({
  name: 'sse',
  summary: 'Reads a stream of server-sent events, and goes on where it was.',
  options: z.strictObject({
    url: httpAddress.describe('Where the stream is; a login in it becomes a header.'),
    headers: z
      .record(z.string(), z.string())
      .refine(areHeaders, 'expected names and values that headers can have: of ASCII, in one line')
      .default({})
      .describe('Headers of the request; a `user-agent` takes the place of the usual one.'),
    identity: fn<(event: SseEvent) => string | undefined>()
      .optional()
      .describe('What an event is known by; where it gives undefined, id and data together.'),
    idleTimeout: someTime.default(60_000).describe('After how long without a byte a connection counts as dead.'),
    reconnect: someTime
      .default(1_000)
      .describe('How long to wait before connecting again, as long as the stream says nothing else.'),
    maxEventBytes: z.int().min(1).default(524_288).describe('The longest event, in bytes of its data.'),
    onError: rejectionPolicy.optional().describe('What becomes of an event that is longer.'),
    name: z
      .string()
      .min(1)
      .optional()
      .describe("Names the stage in graphs, logs and metrics; the source's name if not given."),
  }),
  replayable: true,
  positions: 'store',
  onError: 'dead-letter',
  stores: (_options, stage) => [stage, `${stage}.last-id`],
  detail: ({ url }) => url,
  build: (options, context) => {
    const agent = `weirflow/${version} (stream processor; app ${context.app}, flow ${context.flow})`
    return new SseTask(
      { ...options, headers: { 'user-agent': agent, ...options.headers } },
      context,
      askOf(options.url),
    )
  },
})

/**
 * Reads a stream of server-sent events, as the HTML standard has it. Values are the data of the events, as text; the
 * header `sse.event` has the type of one that is not `message`; the time is that of the arrival, and the key is null.
 *
 * The id of the last event is its position, kept in the checkpoint store with everything else: after a crash the stream
 * is asked to go on there (`Last-Event-ID`), and nothing is lost that the server still has. What it repeats is dropped:
 * the newest 100,000 events are known, so that with sinks that commit with the positions each event counts once.
 * An epoch that fails is replayed from memory.
 *
 * A connection that ends, breaks, or is silent for `idleTimeout` is made anew after `reconnect`, or what the stream asks
 * for by `retry:`, up to 5 minutes, or `Retry-After`; after one that gave nothing it takes longer each time, up to 30 s, and a little more
 * by chance. So it is with 5xx, 408, 425 and 429; the flow is in health meanwhile, but not ready. It stops with
 * WEIR_SOURCE_REFUSED on 204 and any other 4xx, and when ten answers in a row are no `text/event-stream`, as soon as what
 * came before is committed.
 *
 * The response is read only while an epoch has room: what is not read waits at the server. An event that is longer than
 * `maxEventBytes` is rejected with WEIR_RECORD_TOO_LARGE. Run one process of it: two would read the same.
 */
export function sse(options: Configurable<SseOptions>): Source<string> {
  return sseDefinition.declare(options)
}
