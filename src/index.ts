/**
 * Weir: flows of records, as epochs of RxJS. Where to find what:
 *
 *   model/        the vocabulary of all parts: records, stages, stores, connections, errors
 *   sources/      stages that read: one a file
 *   operators/    stages that transform: one a file
 *   sinks/        stages that write: one a file
 *   connectors/   what a configuration calls: a connection with its source and its sink
 *   aggregates/   what `aggregate` can compute
 *   checks/       what `checks` can look at in a database
 *   engine/       topology, epochs, commits, supervision, event time: what makes the promises
 *   state/        stores, their changelog, checkpoint stores
 *   sql/          what the databases share
 *   kafka/ postgres/ mysql/ redis/ cassandra/ codecs/   the only folders that name those clients and formats
 *   config/       `flows.config.ts` and what it reads: typing, loading, settings from files, texts of faults
 *   worker/       the process: HTTP, health, metrics, logs
 *   cli/          the `weir` command, the only place that knows `process`
 *   testing/      marbles and the flow test driver (imported as `weirflow/testing`)
 *   flows/        flows that ship, written as any user would
 *
 * A flow's life: config → engine/compile (topology) → engine/task (epochs) → commit.
 */
export * from './aggregates/index.js'
export { type CheckResult, type CheckStatus, checkLevel } from './checks/check-result.js'
export * from './checks/index.js'
export type { AvroSchema } from './codecs/avro/values.js'
export type { CloudEvent, CloudEventInput, RawData } from './codecs/cloudevents/index.js'
export { eventSchemas } from './codecs/event-schemas/event-schemas.js'
export { schemaRegistry } from './codecs/schema-registry.js'
export { defineConfig } from './config/define-config.js'
export { type FileSettings, type PathOf, type ValueAt, yaml } from './config/yaml.js'
export { archive } from './connectors/archive.js'
export { cassandra } from './connectors/cassandra.js'
export { kafka } from './connectors/kafka.js'
export { mysql } from './connectors/mysql.js'
export { postgres } from './connectors/postgres.js'
export { redis } from './connectors/redis.js'
export { webhook } from './connectors/webhook.js'
export type { FlowEnd } from './engine/flow.js'
export { type BranchOf, branch, type End, flow, from, merge, otherwise, to } from './engine/flow-builders.js'
export type { Branch, Branches, Flow, FlowOptions, Input, Merged, WeirConfig } from './engine/index.js'
export {
  ConfigError,
  compareTopologies,
  compile,
  Engine,
  type EngineParts,
  type FlowTopology,
  memory,
  printTopology,
  type StageSummary,
  type Topology,
} from './engine/index.js'
export * from './model/index.js'
export { aggregate, recordKey } from './operators/aggregate.js'
export { avro } from './operators/avro.js'
export { type BatchOptions, batch } from './operators/batch.js'
export { checks } from './operators/checks.js'
export { type CloudEventsDecodeOptions, type CloudEventsEncodeOptions, cloudEvents } from './operators/cloud-events.js'
export { type EventTimeOptions, eventTime } from './operators/event-time.js'
export { filter } from './operators/filter.js'
export { flatMap } from './operators/flat-map.js'
export { type Incident, type IncidentLevel, type IncidentLimit, incidents } from './operators/incidents.js'
export type { DecodeOptions, EncodeOptions } from './operators/internal/registered.js'
export type { NamedStage, RejectingStage } from './operators/internal/stage-options.js'
export { type JsonOptions, json } from './operators/json.js'
export { jsonSchema } from './operators/json-schema.js'
export { keyBy } from './operators/key-by.js'
export { map } from './operators/map.js'
export { type MapAsyncOptions, mapAsync } from './operators/map-async.js'
export { rx } from './operators/rx.js'
export { type SqlOptions, sql } from './operators/sql.js'
export { tap } from './operators/tap.js'
export { type ValidateOptions, validate } from './operators/validate.js'
export { type Aggregated, hopping, tumbling, type Window, type Windowed, type WindowSpec } from './operators/windows.js'
export type { RedisAppend, RedisData, RedisWrite } from './redis/writes.js'
export type { CassandraSinkOptions } from './sinks/cassandra.js'
export { type ConsoleOptions, consoleSink } from './sinks/console.js'
export type { KafkaSinkOptions } from './sinks/kafka.js'
export type { MysqlSinkOptions } from './sinks/mysql.js'
export type { PostgresSinkOptions } from './sinks/postgres.js'
export type { RedisSinkOptions } from './sinks/redis.js'
export { type ReadTable, type ViewAnswer, type ViewEntry, type ViewOptions, view } from './sinks/view.js'
export type { WebhookSinkOptions } from './sinks/webhook.js'
export { type FeedOptions, feed } from './sources/feed.js'
export { type GenerateOptions, generate } from './sources/generate.js'
export { type HttpCloudEventsOptions, type HttpPostOptions, http } from './sources/http.js'
export type { KafkaSourceOptions } from './sources/kafka.js'
export type { GroupLag, GroupState, PartitionLag } from './sources/lag/group-lag.js'
export type { KafkaLagOptions } from './sources/lag.js'
export { type ScheduledRun, type ScheduleOptions, schedule } from './sources/schedule.js'
export { type SseEvent, type SseOptions, sse } from './sources/sse.js'
export type { SqlRow } from './sql/index.js'
