import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { type CloudEvent, dataOptions, type RawData } from '../codecs/cloudevents/index.js'
import { type Configurable, defineSource, type Source, usualDepth } from '../model/index.js'
import { CloudEventsTask } from './http/cloud-events.js'
import { PostTask } from './http/post.js'
import { hasRoom, noRoom, routeOptions } from './http/task.js'

const schema = z.custom<StandardSchemaV1<unknown, unknown>>(
  (value) => (typeof value === 'object' || typeof value === 'function') && value !== null && '~standard' in value,
  'expected a schema: zod, or anything else that speaks Standard Schema',
)
const { path, maxEvents, bodyLimit, ...waiting } = routeOptions

const postOptions = z
  .strictObject({
    path,
    body: schema.describe('The schema of one event. A body is one event or an array of them.'),
    maxEvents,
    bodyLimit,
    depthLimit: z
      .number()
      .int()
      .min(1)
      .default(usualDepth)
      .describe('How deep arrays and objects may nest in a body; a deeper one gets 400.'),
    ...waiting,
  })
  .refine(hasRoom, noRoom)

const cloudEventsOptions = z
  .strictObject({ path, ...dataOptions, maxEvents, bodyLimit, ...waiting })
  .refine(hasRoom, noRoom)

/** What the sources of this file have in common. */
const route = {
  replayable: false,
  epoch: { everyMs: 1000 },
  detail: ({ path }: { path: string }) => `POST ${path}`,
  serves: ({ path }: { path: string }) => [`POST ${path}`],
} as const

export const httpPost = defineSource({
  name: 'http.post',
  summary: 'Takes events from POST requests, and answers when they are committed.',
  options: postOptions,
  ...route,
  build: (options, context) => new PostTask(options, context),
})

export const httpCloudEvents = defineSource({
  name: 'http.cloudEvents',
  summary: 'Takes CloudEvents 1.0 from POST requests, and answers when they are committed.',
  options: cloudEventsOptions,
  ...route,
  build: (options, context) => new CloudEventsTask(options, context),
})

export type HttpPostOptions<T> = Configurable<Omit<z.input<typeof postOptions>, 'path' | 'body'>> & {
  /** The schema of one event. */
  readonly body: StandardSchemaV1<unknown, T>
}

export type HttpCloudEventsOptions = Configurable<Omit<z.input<typeof cloudEventsOptions>, 'path' | 'data'>>

export const http = {
  /**
   * A route that takes one event or an array of them as JSON. Values are what the schema makes of them; the timestamp
   * is the time of arrival, the key is null, and the header `weir.correlation-id` follows the event.
   *
   * Answers: 202 when the epoch that holds the events has committed, 400 with every fault and beyond `depthLimit`, 413
   * beyond `bodyLimit`, 422 with the index and the code of each event that a stage could not take while the others were
   * stored (413 where it was all of them, for their size), 503 with `Retry-After` when nothing was taken (backlog, a flow that stops), 500 when it could not be stored or
   * that is in doubt. A caller that hangs up takes nothing back.
   */
  post<T>(path: string, options: HttpPostOptions<T>): Source<T> {
    return httpPost.declare({ path, ...options })
  },

  /**
   * A route that takes CloudEvents 1.0 by their HTTP binding: one event as JSON (`application/cloudevents+json`), a batch of
   * them (`application/cloudevents-batch+json`), or one whose attributes are headers `ce-…` and whose data is the body.
   * Values are those of `cloudEvents.decode`, which has the same options for the data; the rest of a record is as that of
   * `http.post`.
   *
   * Answers: as `http.post`, with these: 400 with every fault when the body is no event, or no JSON; of a batch the events
   * that are none are told with 422, their index and every fault, and the others are stored; 415 for an event in another
   * format than JSON.
   */
  cloudEvents<T = unknown, Form extends 'parsed' | 'raw' = 'parsed'>(
    path: string,
    options: HttpCloudEventsOptions & { readonly data?: Form } = {},
  ): Source<CloudEvent<Form extends 'raw' ? RawData : T>> {
    return httpCloudEvents.declare({ path, ...options })
  },
}
