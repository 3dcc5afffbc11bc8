import { env, flow, generate, kafka } from 'weirflow'
import { unlimited } from './limit.js'
import { type PipelineEvent, pipelineTopic, userKey } from './pipeline-events.js'

/** What is sent: an event, or a text in place of one that was cut off on its way. */
type Made = PipelineEvent | string

type Random = () => number

const pages = ['/', '/pricing', '/docs', '/blog', '/login']
const pick = <T>(choices: readonly T[], random: Random) => choices[Math.floor(random() * choices.length)] as T
const cents = (most: number, random: Random) => Math.floor(random() * most * 100) / 100

/** What a user does, by event type; page views are most of it. */
const happenings: Readonly<Record<string, (random: Random) => object>> = {
  user_signup: (random) =>
    random() < 0.5
      ? { plan: pick(['free', 'paid'], random), schemaVersion: 1 }
      : { plan: pick(['free', 'trial'], random), campaign: pick(['spring', 'autumn'], random), schemaVersion: 2 },
  user_login: (random) => ({ method: pick(['password', 'sso', 'link'], random) }),
  user_logout: (random) => ({ sessionSeconds: Math.floor(random() * 3_600) }),
  purchase: (random) => ({ amount: cents(200, random), currency: pick(['EUR', 'USD'], random) }),
  page_view: (random) => ({ url: pick(pages, random) }),
}

/** What goes wrong with an event. */
const faults: readonly ((event: PipelineEvent) => Made)[] = [
  (event) => JSON.stringify(event).slice(0, -9),
  (event) => ({ ...event, eventType: 'user_vanished' }),
  (event) => ({ ...event, eventType: 'purchase', amount: 'much', currency: 'euros' }),
  (event) => ({ ...event, eventType: 'user_signup', plan: 'team', schemaVersion: 3 }),
]

/** Where events are bad, purchases have no price either for half a minute in three: schemas take them, and checks find them. */
const hasNoPrices = (afterMs: number) => afterMs % 180_000 >= 20_000 && afterMs % 180_000 < 50_000

/**
 * Events of a site, of each type, and now and then one that is cut off, of no known type, against its schema or of a newer one:
 * such a share of them.
 */
export function eventsOf(badShare: number) {
  return (random: Random, index: number, afterMs = 0): Made => {
    const types = Object.keys(happenings)
    const eventType = types[Math.floor(Math.sqrt(random()) * types.length)] as string
    const userId = 1 + Math.floor(1_000 * random() ** 2)
    const happened = happenings[eventType]?.(random)
    const isFree = eventType === 'purchase' && badShare > 0 && hasNoPrices(afterMs)
    const event = { eventId: `event-${index}`, eventType, userId, ...happened, ...(isFree ? { amount: 0 } : {}) }
    return random() < badShare ? pick(faults, random)(event) : event
  }
}

/**
 * Puts made-up events on a topic, keyed by user: PIPELINE_RATE a second, PIPELINE_LIMIT of them (0: without end), of which the
 * share PIPELINE_BAD is such that no schema takes them.
 */
export const eventProducer = flow(
  generate<Made>({
    value: env('PIPELINE_BAD').number().default(0).map(eventsOf),
    rate: env('PIPELINE_RATE').number().default(50),
    count: env('PIPELINE_LIMIT').int().default(0).map(unlimited),
    seed: env('PIPELINE_SEED').int().default(1),
  }),
  kafka.sink({
    topic: pipelineTopic,
    partitions: 3,
    key: (made) => (typeof made === 'string' ? null : userKey(made)),
    value: (made, { timestamp }) =>
      typeof made === 'string' ? made : { ...made, timestamp: new Date(timestamp).toISOString() },
  }),
).with({ checkpoints: 'kafka' })
