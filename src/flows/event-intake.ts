import { flow, http, kafka, validate } from 'weirflow'
import { z } from 'zod'
import { type PipelineEvent, pipelineTopic, userKey, versionOf } from './pipeline-events.js'

/**
 * Takes events over HTTP and puts them on a topic, keyed by user.
 *
 *   POST /events ──► validate ──► events
 *
 * A request is answered with 202 once Kafka has acknowledged all of its events, and with 422 where its schema does not take
 * one: those go to the dead letters, and the others to the topic.
 */
export const eventIntake = flow(
  http.post<PipelineEvent>('/events', {
    body: z.looseObject({}),
    maxEvents: 1_000,
    bodyLimit: 1_048_576,
  }),
  validate({ version: versionOf }),
  kafka.sink({
    topic: pipelineTopic,
    partitions: 3,
    key: userKey,
    // A caller should not wait for long.
    deliveryTimeout: '15s',
  }),
)
