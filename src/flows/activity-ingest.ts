import { env, flow, http, kafka } from 'weirflow'
import { Activity } from './activity.js'

/**
 * Takes activity events over HTTP and puts them on a topic, keyed by user.
 *
 *   POST /activity ──► incoming.user_activity
 *
 * A request is answered with 202 once Kafka has acknowledged all of its events. The records carry the time of arrival:
 * brokers delete by it, and would drop last year's events before anybody has read them.
 */
export const activityIngest = flow(
  http.post('/activity', { body: Activity, maxEvents: 1_000, bodyLimit: 1_048_576 }),
  kafka.sink({
    topic: env('KAFKA_TOPIC').default('incoming.user_activity'),
    partitions: 3,
    key: (activity) => activity.user_id,
    // A caller should not wait for long: this gives the brokers three times five seconds.
    deliveryTimeout: '15s',
  }),
)
