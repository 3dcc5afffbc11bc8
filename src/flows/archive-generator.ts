import { type CloudEventInput, cloudEvents, env, flow, generate, kafka, map } from 'weirflow'
import { archiveTopics } from './event-archive.js'
import { unlimited } from './limit.js'

const types = ['placed', 'shipped', 'returned'] as const

/** An event of a shop: of one of three types, and of one of two versions of their schemas. */
function made(random: () => number, index: number): CloudEventInput {
  const type = types[Math.floor(random() ** 2 * types.length)] as (typeof types)[number]
  const order = Math.floor(random() * 10_000)
  const version = random() < 0.8 ? 'v1' : 'v2'
  const data = { order, customer: `customer-${Math.floor(random() * 500)}`, items: 1 + Math.floor(random() * 5) }
  return {
    id: `event-${index}`,
    source: '/shop/orders',
    type: `com.example.order.${type}`,
    subject: `orders/${order}`,
    dataschema: `https://example.com/schemas/order-${type}/${version}.json`,
    datacontenttype: 'application/json',
    data: version === 'v1' ? data : { ...data, currency: 'EUR' },
  }
}

/** Puts made-up events of a shop on a topic: ARCHIVE_RATE a second, ARCHIVE_LIMIT of them (0: without end). */
export const archiveGenerator = flow(
  generate<CloudEventInput>({
    value: made,
    key: ({ subject }) => String(subject),
    rate: env('ARCHIVE_RATE').int().default(200),
    count: env('ARCHIVE_LIMIT').int().default(0).map(unlimited),
    seed: env('ARCHIVE_SEED').int().default(1),
  }),
  map((event: CloudEventInput, { timestamp }) => ({ ...event, time: new Date(timestamp).toISOString() })),
  cloudEvents.encode(),
  kafka.sink({
    topic: archiveTopics.map(([first]) => String(first)),
    partitions: 3,
  }),
).with({ checkpoints: 'kafka' })
