import { env, flatMap, flow, type GroupLag, type Incident, incidents, kafka } from 'weirflow'
import { alertEnd, alertsOf, remindEvery } from './alerts.js'

const seconds = (name: string, byDefault: number) =>
  env(name)
    .number()
    .default(byDefault)
    .map((value) => value * 1_000)

function lagText({ key, silent, value }: Incident<GroupLag>): string {
  if (silent || value === undefined) return `${key} is there no longer`
  const { group, topic, records, seconds, growth, drainSeconds, state } = value
  const parts = [
    `group '${group}' is ${records} records behind in topic '${topic}'`,
    ...(seconds === null || seconds === 0 ? [] : [`the oldest ${seconds} s old`]),
    ...(growth === null || growth === 0 ? [] : [`${growth > 0 ? 'growing' : 'shrinking'} by ${Math.abs(growth)}/s`]),
    ...(drainSeconds === null || drainSeconds === 0 ? [] : [`${drainSeconds} s to go`]),
    ...(state === 'empty' ? ['it has no members'] : []),
  ]
  return parts.join(', ')
}

/**
 * Watches how far consumer groups are behind, and alerts.
 *
 *   groups ──► lag ──► incidents ──┬─► log
 *                                  └─► alerts ──► alert-webhook
 *
 * LAG_GROUPS (all, where none are named) are measured each LAG_EVERY_SEC. An incident of a group and topic opens when its
 * oldest record is LAG_WARN_SECONDS or LAG_ERROR_SECONDS old, or LAG_WARN_RECORDS or LAG_ERROR_RECORDS wait, and that for
 * LAG_FOR_SEC; it resolves when that has been over for as long. It is told when it opens, gets worse or better, and resolves,
 * and again each ALERT_REMIND_SEC. What is open is kept with the positions, so that a restart tells nothing twice.
 */
export const lagWatch = flow(
  kafka.lag({ groups: env('LAG_GROUPS').list().optional(), every: seconds('LAG_EVERY_SEC', 30) }),
  incidents('lag-incidents', {
    level: [
      {
        of: ({ seconds }) => seconds,
        warn: env('LAG_WARN_SECONDS').number().default(60),
        error: env('LAG_ERROR_SECONDS').number().default(300),
      },
      {
        of: ({ records }) => records,
        warn: env('LAG_WARN_RECORDS').int().optional(),
        error: env('LAG_ERROR_RECORDS').int().optional(),
      },
    ],
    openAfter: seconds('LAG_FOR_SEC', 60),
    resolveAfter: seconds('LAG_FOR_SEC', 60),
    remindEvery,
    // Of a group or a topic that was deleted.
    silentAfter: '1h',
  }),
  flatMap(alertsOf('lag-watch', lagText), { name: 'alerts' }),
  alertEnd,
)
