import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { randomOf } from '../../src/sources/generate/random.js'

/** An event of a stream, as it was recorded. */
export interface Recorded {
  readonly id: string
  readonly data: string
  /** When it came, ms after the first one. */
  readonly atMs: number
}

const folder = new URL('../../../shared/data/wikimedia/', import.meta.url)

/** Whether the recordings are here; they belong to no one project. */
export const areCapturesHere = existsSync(folder)

/** A recording of real events: raw frames (`.sse`), or lines of JSON with the times of their arrival, or without. */
export function captured(name: string): readonly Recorded[] {
  const file = readFileSync(new URL(name, folder))
  const text = (name.endsWith('.gz') ? gunzipSync(file) : file).toString()
  if (name.endsWith('.sse')) return text.split('\n\n').flatMap(framed)
  const lines = text.split('\n').filter((line) => line !== '')
  return name.includes('.recv.') ? arrivals(lines) : lines.map((data, index) => numbered(data, index * 20))
}

/** Changes as they might be, for where there is no recording. */
export function invented(count: number, seed = 1): readonly Recorded[] {
  return Array.from({ length: count }, (_, index) => {
    const random = randomOf(seed, index)
    const pick = (choices: readonly string[]) => choices[Math.floor(random() * choices.length)] as string
    const domain = pick(['en.wikipedia.org', 'de.wikipedia.org', 'commons.wikimedia.org', 'www.wikidata.org', 'canary'])
    const dt = new Date(Date.UTC(2026, 4, 5) + index * 20).toISOString()
    const meta = {
      id: `change-${seed}-${index}`,
      domain,
      dt,
      topic: 'eqiad.mediawiki.recentchange',
      partition: 0,
      offset: index,
    }
    const change = {
      meta,
      user: `${pick(['Ålice', 'Bob', '汉娜', '🦦', 'Dora'])} ${Math.floor(random() * 9)}`,
      bot: random() < 0.4,
    }
    return numbered(JSON.stringify(change), index * 20)
  })
}

/** What the frames say: their lines are `event`, `id` and `data`. */
function framed(frame: string): readonly Recorded[] {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(frame)?.[1]
  const data = field('data')
  if (data === undefined) return []
  const { timestamp } = (JSON.parse(field('id') as string) as { timestamp: number }[])[0] as { timestamp: number }
  return [{ id: field('id') as string, data, atMs: timestamp - 1_781_970_588_989 }]
}

function arrivals(lines: readonly string[]): readonly Recorded[] {
  const all = lines.map((line) => JSON.parse(line) as { data: string; recv_ns: number })
  return all.map(({ data, recv_ns }) => numbered(data, (recv_ns - (all[0]?.recv_ns ?? 0)) / 1e6))
}

/** The id that the stream gives an event: its place in each topic. */
function numbered(data: string, atMs: number): Recorded {
  const { topic, partition, offset } = (JSON.parse(data) as { meta: Record<string, unknown> }).meta
  const id = JSON.stringify([
    { topic, partition, offset },
    { topic: 'codfw.mediawiki.recentchange', partition: 0, offset: -1 },
  ])
  return { id, data, atMs }
}
