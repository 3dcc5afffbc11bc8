import {
  accepted,
  batch,
  branch,
  type CheckResult,
  checkLevel,
  checks,
  custom,
  env,
  flatMap,
  flow,
  fresh,
  type Incident,
  incidents,
  map,
  notNull,
  otherwise,
  postgres,
  schedule,
  to,
  unique,
  volume,
} from 'weirflow'
import { eventTypes, pipelineSchema } from './pipeline-events.js'

const table = 'pipeline.events'
const where = env('QUALITY_WHERE').optional()

const resultsTable = `${pipelineSchema}
  create table pipeline.quality_results (
    run_at timestamptz not null,
    check_name text not null,
    kind text not null,
    status text not null,
    severity text,
    value double precision,
    message text not null,
    duration_ms integer not null,
    created_at timestamptz not null default now(),
    primary key (check_name, run_at)
  );
  create index quality_results_run_at on pipeline.quality_results (run_at);`

const incidentsTable = `${pipelineSchema}
  create table pipeline.quality_incidents (
    incident text primary key,
    check_name text not null,
    state text not null,
    severity text not null,
    since timestamptz not null,
    told_at timestamptz not null,
    resolved_at timestamptz,
    notices integer not null,
    value double precision,
    message text
  );
  create index quality_incidents_open on pipeline.quality_incidents (since) where resolved_at is null;`

function resultRow({ at, check, kind, status, severity, value, message, durationMs }: CheckResult) {
  return { run_at: at, check_name: check, kind, status, severity, value, message, duration_ms: durationMs }
}

function incidentRow({ id, key, status, level, since, at, notice, value }: Incident<CheckResult>) {
  const isOver = status === 'resolved'
  return {
    incident: id,
    check_name: key,
    state: isOver ? 'resolved' : 'open',
    severity: level,
    since,
    told_at: at,
    resolved_at: isOver ? at : null,
    notices: notice,
    value: value?.value,
    message: value?.message,
  }
}

/** A result goes both ways: into the table, and into what is told of its check. */
type Way = { readonly kept: CheckResult } | { readonly told: CheckResult }
const isKept = (way: Way): way is { readonly kept: CheckResult } => 'kept' in way

/**
 * Looks at the events of the pipeline on a schedule.
 *
 *   schedule ──► checks ──┬────────────────► pipeline.quality_results
 *                         └──► incidents ──► pipeline.quality_incidents
 *
 * At each time of QUALITY_CRON by the clocks of QUALITY_TIME_ZONE, of the rows that QUALITY_WHERE leaves: there are events, each
 * id once, the newest are not old, each has a user and one of QUALITY_TYPES, and what was bought of late had a price. A check that fails opens an incident, which is
 * told again each QUALITY_REMIND_SEC, and resolved when the check passes.
 */
export const dataQuality = flow(
  schedule({
    cron: env('QUALITY_CRON').default('* * * * *'),
    timeZone: env('QUALITY_TIME_ZONE').default('UTC'),
  }),
  checks('db', {
    'there are events': volume({ table, where, error: { min: 1 } }),
    'each id once': unique({ table, where, column: 'event_id' }),
    'events are new': fresh({ table, where, column: 'created_at', warn: '1m', error: '5m' }),
    'events have users': notNull({ table, where, column: 'user_id' }),
    'types are known': accepted({
      table,
      column: 'event_type',
      values: env('QUALITY_TYPES').list().default(eventTypes),
    }),
    'purchases have prices': custom({
      query: `
        select count(*) from pipeline.events
        where event_type = 'purchase' and occurred_at > now() - interval '1 minute' and (payload->>'amount')::numeric = 0`,
      what: 'purchases of the last minute for nothing',
      error: 0,
    }),
  }),
  flatMap((result): Way[] => [{ kept: result }, { told: result }], { name: 'both-ways' }),
  branch(
    to(
      'results',
      isKept,
      map(({ kept }) => kept),
      batch({ size: 100, every: '1s' }),
      postgres.sink({
        table: 'pipeline.quality_results',
        create: resultsTable,
        mode: 'upsert',
        key: ['check_name', 'run_at'],
        row: resultRow,
        onError: 'fail',
      }),
    ),
    otherwise(
      'incidents',
      map((way: Way) => (way as { readonly told: CheckResult }).told),
      incidents('incidents', {
        level: checkLevel,
        remindEvery: env('QUALITY_REMIND_SEC')
          .int()
          .default(3_600)
          .map((seconds) => seconds * 1_000),
      }),
      postgres.sink({
        table: 'pipeline.quality_incidents',
        create: incidentsTable,
        mode: 'upsert',
        key: ['incident'],
        row: incidentRow,
        onError: 'fail',
      }),
    ),
  ),
).with({ checkpoints: 'db', guarantee: 'exactly-once' })
