import { aggregate, batch, count, countDistinct, env, eventTime, flow, json, kafka, postgres, tumbling } from 'weirflow'
import { Activity } from './activity.js'

const seconds = (name: string, byDefault: number) =>
  env(name)
    .number()
    .default(byDefault)
    .map((value) => value * 1_000)

const table = `
  create table if not exists user_activity_metrics (
    id serial primary key,
    timestamp timestamp not null,
    unique_users integer not null,
    page_view_count bigint not null,
    created_at timestamp default current_timestamp
  )`

/**
 * Counts unique users and page views in windows of event time, one row a window.
 *
 *   incoming.user_activity ──► windows ──► user_activity_metrics
 *
 * What does not parse goes to the dead letters, and so does what comes after its window has closed. Rows, the windows
 * that are still open and the positions are committed in one transaction, so a crash repeats no row and loses none.
 */
export const activityMetrics = flow(
  kafka.source({
    topic: env('KAFKA_TOPIC').default('incoming.user_activity'),
    group: env('KAFKA_GROUP_ID').default('user-activity-consumer-group'),
    partitions: 3,
    // Whichever flow of the system comes first makes the topic.
    create: true,
  }),
  json(Activity),
  eventTime((activity) => activity.timestamp, {
    outOfOrder: seconds('ALLOWED_LATENESS_SEC', 5),
    idleAfter: seconds('IDLE_AFTER_SEC', 5),
  }),
  aggregate('per-window', {
    window: tumbling(seconds('FLUSH_INTERVAL_SEC', 30)),
    late: 'dead-letter',
    of: {
      unique_users: countDistinct((activity) => activity.user_id),
      page_view_count: count((activity) => activity.activity_type === 'page_view'),
    },
  }),
  batch({ size: env('BATCH_SIZE').int().default(100), every: '1s' }),
  postgres.sink({
    table: 'user_activity_metrics',
    create: table,
    writers: env('NUM_WORKERS').int().default(3),
    row: ({ window, value }) => ({ timestamp: window.start, ...value }),
  }),
)
