/** One activity event of about 200 bytes; deterministic, in event-time order with a little disorder. */
export function eventText(index: number, perSecond: number): string {
  const time = baseMs + Math.floor((index / perSecond) * 1_000) - (hash(index) % 900)
  const user = `user-${hash(index * 7 + 3) % 50_000}`
  const page = `/products/category-${hash(index * 3 + 1) % 40}/item-${hash(index * 5 + 2) % 9_000}`
  return JSON.stringify({
    user_id: user,
    activity_type: types[hash(index) % types.length],
    timestamp: new Date(time).toISOString(),
    metadata: { page_url: page, referrer: 'https://www.example.org/search?q=shoes' },
  })
}

export const baseMs = Date.UTC(2026, 0, 1)

const types = ['page_view', 'page_view', 'page_view', 'click', 'purchase'] as const

/** A few rounds of mixing, so that neighbours differ. */
function hash(value: number): number {
  let mixed = Math.imul(value ^ 0x9e3779b9, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
