import { hash } from './events.js'

const pages = 'https://www.example.org/products/category-'

/**
 * One event of the pipeline, of 250 bytes; deterministic. `at`: when it was, ms, with as many digits behind the point as
 * there are. Its id is its number.
 */
export function pipelineText(index: number, at: number): string {
  const text = JSON.stringify({
    eventId: `event-${String(index).padStart(10, '0')}`,
    eventType: 'page_view',
    userId: hash(index * 7 + 3) % 50_000,
    timestamp: isoText(at),
    url: `${pages}${hash(index * 3 + 1) % 40}/item-${hash(index * 5 + 2) % 9_000}`,
    referrer: '',
  })
  return `${text.slice(0, -2)}${'r'.repeat(250 - text.length)}"}`
}

/** To the microsecond. */
function isoText(ms: number): string {
  const micros = Math.floor((ms % 1) * 1_000)
  return `${new Date(ms).toISOString().slice(0, -1)}${String(micros).padStart(3, '0')}Z`
}
