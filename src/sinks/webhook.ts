import { z } from 'zod'
import {
  type Batch,
  type Configurable,
  clientDuration,
  defineSink,
  fn,
  rejectionPolicy,
  type Sink,
  type StreamRecord,
  someTime,
} from '../model/index.js'
import { Endpoint } from './webhook/endpoint.js'
import { headersRule, isSendable } from './webhook/headers.js'
import { webhookMetrics } from './webhook/meter.js'
import { postTo } from './webhook/post.js'
import { isSecret, secretRule } from './webhook/signature.js'
import { WebhookTask } from './webhook/task.js'

type Of<R> = (value: never, record: StreamRecord) => R

const secretText = z.string().refine(isSecret, secretRule)

const options = z.strictObject({
  // What does not hold is not shown: a URL may be a secret.
  url: z
    .string()
    .refine(Endpoint.isUrl, 'expected a URL that begins with http:// or https://')
    .describe('Where records are posted. In logs, graphs and errors only its host is shown.'),
  secret: z
    .union([secretText, z.array(secretText).min(1)], secretRule)
    .optional()
    .describe(
      'What requests are signed with, `whsec_` and base64; several while one takes the place of another. Not signed if not given.',
    ),
  headers: z
    .record(z.string(), z.string())
    .refine(isSendable, headersRule)
    .default({})
    .describe('Further headers of every request. Their values are not shown.'),
  id: fn<Of<string>>()
    .optional()
    .describe(
      'What a request is known by, the same in each try; for stages that make several records of one, or gather them. Default: made of the app, the flow, the stage and the place of the record; for what was made of many, of its key, time and value.',
    ),
  body: fn<Of<unknown>>().optional().describe('What is posted, as JSON. Default: the value.'),
  each: z
    .enum(['record', 'batch'])
    .default('record')
    .describe('What a request carries: a record, or all that `batch` has gathered, as an array.'),
  concurrency: z
    .int()
    .min(1)
    .max(256)
    .default(4)
    .describe('How many requests run at once. Those of a key follow each other; batches always do.'),
  timeout: clientDuration
    .refine((ms) => ms >= 1, "expected '1ms' or more")
    .default(10_000)
    .describe('How long an answer may take.'),
  retries: z
    .int()
    .min(0)
    .default(5)
    .describe('How often a request is tried again before the epoch fails, and is then tried again itself.'),
  longestPause: someTime
    .default(300_000)
    .describe('For how long, at most, `Retry-After` may keep it from trying again.'),
  maxBytes: z
    .int()
    .min(1)
    .default(1_048_576)
    .describe('How large a body may be, bytes; a record that is larger is rejected.'),
  onError: rejectionPolicy
    .optional()
    .describe(
      'What becomes of a record that can not be written, or that the receiver refuses: `fail`, `dead-letter` or `skip`. Default `dead-letter`, or `skip` where no connection takes dead letters.',
    ),
  name: z
    .string()
    .min(1)
    .optional()
    .describe("Names the stage in graphs, logs and metrics; the sink's name if not given."),
})

export const webhookSink = defineSink({
  name: 'webhook.sink',
  summary: 'Posts records as JSON over HTTP, signed as Standard Webhooks says.',
  options,
  onError: 'dead-letter',
  onErrorAlone: 'skip',
  guarantee: () => 'at-least-once',
  detail: ({ url }) => new Endpoint(url).address,
  metrics: webhookMetrics,
  build: ({ url, ...settings }, context) => {
    const endpoint = new Endpoint(url, settings.headers)
    return new WebhookTask(settings, endpoint, postTo(endpoint), context)
  },
})

/** The options of `webhook.sink`, with functions that see the values of the flow. */
export type WebhookSinkOptions<T> = Configurable<Omit<z.input<typeof options>, 'id' | 'body'>> & {
  readonly id?: (value: T, record: StreamRecord<T>) => string
  readonly body?: (value: T, record: StreamRecord<T>) => unknown
}

/**
 * Posts a flow's values, or each of the values that `batch` gathered, to a URL: at least once, and those of a key in their
 * order. Requests have the headers of Standard Webhooks, `webhook-id`, `webhook-timestamp` and, with a `secret`,
 * `webhook-signature`; `idempotency-key` says the same as `webhook-id`, which is the same in each try, and when an epoch is
 * read again.
 *
 * 2xx takes a record. 408, 425, 429, 5xx, 3xx (no redirect is followed), and what does not answer in time or not at all is
 * tried again after pauses that double, or as long as `Retry-After` says, for all requests; when `retries` of them were not
 * enough, the epoch fails and is read again, for as long as it lasts. Any other 4xx is the record's fault, and so is a body
 * that is too large or no JSON; a batch is halved until the records are found.
 */
export function sink<T>(options: WebhookSinkOptions<T>): Sink<T | Batch<T>> {
  return webhookSink.declare(options)
}
