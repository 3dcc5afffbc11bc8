import { branch, consoleSink, env, type Incident, kafka, map, otherwise, to } from 'weirflow'

/** What somebody is told: an incident of some flow, and a line about it. */
export interface Alert extends Incident {
  /** The flow that watches. */
  readonly source: string
  /** What receivers of chat show. */
  readonly text: string
}

/** An alert on one of its ways. */
interface Leaving {
  readonly to: 'log' | 'topic'
  readonly alert: Alert
}

export const alertsTopic = env('ALERTS_TOPIC').default('alerts')

/** How often somebody is told again of what is as bad as before. */
export const remindEvery = env('ALERT_REMIND_SEC')
  .number()
  .default(14_400)
  .map((seconds) => seconds * 1_000)

const signs = { opened: 'OPEN', changed: 'NOW', reminded: 'STILL', resolved: 'RESOLVED' } as const

/** An incident as an alert, once for each way that it leaves by. For `flatMap`, before `alertEnd`. */
export function alertsOf<V>(source: string, textOf: (incident: Incident<V>) => string) {
  return (incident: Incident<V>): Leaving[] => {
    const { status, level } = incident
    const sign = status === 'resolved' ? signs.resolved : `${signs[status]} ${level}`
    const alert = { source, text: `[${sign}] ${textOf(incident)}`, ...incident }
    return [
      { to: 'log', alert },
      { to: 'topic', alert },
    ]
  }
}

/** Alerts go to the log, and to ALERTS_TOPIC, in which those of an incident follow each other. */
export const alertEnd = branch(
  to(
    'log',
    ({ to }: Leaving) => to === 'log',
    map(({ alert }) => alert.text),
    consoleSink({ name: 'alert-log' }),
  ),
  otherwise(
    'topic',
    kafka.sink({
      topic: alertsTopic,
      key: ({ alert }: Leaving) => `${alert.source}/${alert.key ?? ''}`,
      value: ({ alert }) => alert,
    }),
  ),
)
