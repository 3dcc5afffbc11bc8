/** One activity event of about 200 bytes; deterministic, in event-time order with a little disorder. */
export function eventText(index: number, perSecond: number): string {
  return JSON.stringify(activity(index, perSecond))
}

/** The same as a CloudEvent of about 400 bytes, all of a day. */
export function cloudEventText(index: number, perSecond: number): string {
  // The first second has times of the day before.
  const data = activity(index + perSecond, perSecond)
  return JSON.stringify({
    specversion: '1.0',
    id: uuid(index),
    source: '/shop/web',
    type: `com.example.${data.activity_type}`,
    subject: data.user_id,
    time: data.timestamp,
    datacontenttype: 'application/json',
    dataschema: 'https://example.com/schemas/activity/v1.json',
    data: { activity_type: data.activity_type, ...data.metadata },
  })
}

export const baseMs = Date.UTC(2026, 0, 1)

const types = ['page_view', 'page_view', 'page_view', 'click', 'purchase'] as const

function activity(index: number, perSecond: number) {
  const time = baseMs + Math.floor((index / perSecond) * 1_000) - (hash(index) % 900)
  const user = `user-${hash(index * 7 + 3) % 50_000}`
  const page = `/products/category-${hash(index * 3 + 1) % 40}/item-${hash(index * 5 + 2) % 9_000}`
  return {
    user_id: user,
    activity_type: types[hash(index) % types.length],
    timestamp: new Date(time).toISOString(),
    metadata: { page_url: page, referrer: 'https://www.example.org/search?q=shoes' },
  }
}

function uuid(index: number): string {
  const digits = [11, 13, 17, 19]
    .map((factor) =>
      hash(index * factor + 5)
        .toString(16)
        .padStart(8, '0'),
    )
    .join('')
  return digits.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/, '$1-$2-4$3-a$4-$5')
}

/** A few rounds of mixing, so that neighbours differ. */
export function hash(value: number): number {
  let mixed = Math.imul(value ^ 0x9e3779b9, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
