import {
  batch,
  correlationHeader,
  env,
  flow,
  headerOf,
  isoReader,
  isTimestamp,
  json,
  kafka,
  place,
  postgres,
  type StreamRecord,
  validate,
} from 'weirflow'
import { type PipelineEvent, pipelineSchema, pipelineTopic, textOf, userKey, versionOf } from './pipeline-events.js'

const columns = {
  event_type: 'text',
  user_id: 'text',
  occurred_at: 'timestamptz',
  payload: 'jsonb',
  correlation_id: 'text',
  topic: 'text',
  partition: 'integer',
  kafka_offset: 'bigint',
  created_at: 'timestamptz default now()',
}

const indexes = `
  create index events_user_id on pipeline.events (user_id, occurred_at);
  create index events_event_type on pipeline.events (event_type, occurred_at);
  create index events_occurred_at on pipeline.events (occurred_at);
  create index events_correlation_id on pipeline.events (correlation_id) where correlation_id is not null;`

const columnList = `
    event_type text not null,
    user_id text,
    occurred_at timestamptz not null default now(),
    payload jsonb not null,
    correlation_id text,
    topic text not null,
    partition integer not null,
    kafka_offset bigint not null,
    created_at timestamptz not null default now()`

export const plainTable = `${pipelineSchema}
  create table pipeline.events (
    event_id text primary key,${columnList}
  );${indexes}`

/**
 * PostgreSQL keeps no index over all partitions, so what is unique in each may be there twice, under two days. Ids are kept in a
 * table of their own, and a row whose id is there already is dropped, whoever writes it. Two who write one id wait for
 * each other, as at any unique index.
 */
const partitionedTable = `${pipelineSchema}
  create table pipeline.events (
    event_id text not null,${columnList},
    primary key (event_id, occurred_at)
  ) partition by range (occurred_at);${indexes}
  create table if not exists pipeline.event_ids (event_id text primary key, occurred_at timestamptz not null);
  create or replace function pipeline.first_of_id() returns trigger language plpgsql as $$ begin
    insert into pipeline.event_ids values (new.event_id, new.occurred_at) on conflict do nothing;
    return case when found then new end;
  end $$;
  create trigger first_of_id before insert on pipeline.events for each row execute function pipeline.first_of_id();
  -- Days of more than two years ago share one.
  do $$ begin
    execute format('create table pipeline.events_old partition of pipeline.events for values from (minvalue) to (%L)',
      to_char(now() at time zone 'UTC' - interval '2 years', 'YYYY-MM-DD 00:00"Z"'));
  end $$;`

const partition = env('PIPELINE_PARTITION').oneOf('none', 'day').default('none')
const byDay = <D, N>(day: D, none: N) => partition.map((by) => (by === 'day' ? day : none))

const plainTime = /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$/
const readTime = isoReader()

/** When an event was; undefined leaves it to the database's clock, where neither event nor record tells. */
function timeOf(given: PipelineEvent['timestamp'], { timestamp }: StreamRecord): string | Date | undefined {
  if (given === undefined || given === null) return isTimestamp(timestamp) ? new Date(timestamp) : undefined
  const ms = typeof given === 'string' ? readTime(given) : given
  if (typeof ms !== 'number' || Number.isNaN(ms))
    throw new TypeError(`its timestamp, ${JSON.stringify(given)}, is none`)
  // As text it keeps its microseconds.
  return typeof given === 'string' && plainTime.test(given) ? given : new Date(ms)
}

/** An empty id is none: events that have it are not the same. */
function idOf({ eventId, event_id: snake }: PipelineEvent, { origin }: StreamRecord): string | number {
  const id = eventId ?? snake ?? ''
  return id === '' ? place(origin) : id
}

function row(event: PipelineEvent, record: StreamRecord<PipelineEvent>) {
  const { topic, partition, offset } = record.origin
  return {
    event_id: idOf(event, record),
    event_type: event.eventType ?? event.event_type,
    user_id: userKey(event),
    occurred_at: timeOf(event.timestamp, record),
    payload: textOf(record) ?? event,
    correlation_id: event.correlationId ?? event.correlation_id ?? headerOf(record.headers, correlationHeader) ?? null,
    topic,
    partition,
    kafka_offset: offset,
  }
}

/**
 * Keeps events in a table, each id once.
 *
 *   events ──► validate ──► pipeline.events
 *
 * EVENTS_TOPIC is read as PIPELINE_GROUP_ID. An event without an id gets that of its place in the topic, one without a time
 * that of its record; `payload` is the event as it was sent, to the last digit. Rows and positions are committed in one
 * transaction, and an event whose id is there already changes nothing, so that neither a crash nor a producer that sends
 * again makes a second row. What is no JSON, has no schema, or does not hold to it goes to the dead letters, with every
 * fault. The table is made where it is missing, with PIPELINE_PARTITION=day in partitions of a day; to one that is there,
 * columns are added.
 */
export const eventPipeline = flow(
  kafka.source({
    topic: pipelineTopic,
    group: env('PIPELINE_GROUP_ID').default('pipeline-consumer'),
    partitions: 3,
    // Whichever flow of the system comes first makes the topic.
    create: true,
  }),
  // Ids of users may be longer than numbers hold: their digits are kept.
  json<PipelineEvent>(undefined, { bigIntegers: 'text' }),
  validate({ version: versionOf }),
  batch({ size: 5_000, bytes: 8 << 20 }),
  postgres.sink({
    table: 'pipeline.events',
    create: byDay(partitionedTable, plainTable),
    columns,
    mode: 'keep',
    key: byDay(['event_id', 'occurred_at'], ['event_id']),
    days: byDay('occurred_at', false),
    row,
  }),
).with({ checkpoints: 'db', guarantee: 'exactly-once', epoch: { linger: 10 } })
