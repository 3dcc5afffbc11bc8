import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KafkaCluster } from './kafka-broker.js'
import { installKafkaStreams, requireKafkaStreams } from './kafka-streams-app.js'
import { SameTopic, type Visit } from './kafka-streams-support.js'
import { base, everyPage, inOrder, missed, pages, Visits } from './kafka-streams-visits.js'

const missing = requireKafkaStreams()
const patient = { timeout: 90_000 }

describe.skipIf(missing !== undefined)(
  `Kafka Streams on the same topic${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let cluster: KafkaCluster
    beforeAll(async () => {
      installKafkaStreams()
      cluster = await KafkaCluster.start()
    })
    afterAll(() => cluster.close())

    test('tells the same tumbling windows of a topic that is there, and the same records are late', async () => {
      const windows = { sizeMs: 10_000, graceMs: 5_000 }
      const topic = await SameTopic.create(cluster.bootstrap, { ...windows, partitions: 4 })
      const visits = new Visits(20_261, windows, 4)
      await topic.write([...visits.take(30_000), ...visits.last()])
      const lateness = missed(topic.visits, windows)
      const late = lateness.filter(({ isLate }) => isLate).map(({ place }) => place)

      const began = performance.now()
      const streams = await topic.startStreams()
      await topic.isRead('streams')
      const streamsRead = performance.now()
      expect(await streams.end()).toBe(late.length)
      const weirBegan = performance.now()
      await topic.startWeir()
      await topic.isRead('weir')
      const [streamsMs, weirMs] = [streamsRead - began, performance.now() - weirBegan].map(Math.round)

      const expected = topic.expected()
      await expect.poll(() => topic.told('streams'), patient).toEqual(expected)
      await expect.poll(() => topic.told('weir'), patient).toEqual(expected)
      expect(await topic.late()).toEqual(late.sort())
      expect(expected.length).toBeGreaterThan(1_000)
      expect(late.length).toBeGreaterThan(1_000)
      const what = `${topic.visits.length} records, ${expected.length} windows, ${late.length} late`
      console.log(`${what}, from start to the last commit: Kafka Streams ${streamsMs} ms, Weir ${weirMs} ms`)
    })

    test('tells the same hopping windows at every step, and keeps a late record out of the same ones', async () => {
      const windows = { sizeMs: 10_000, advanceMs: 4_000, graceMs: 5_000, outOfOrderMs: 2_000 }
      const topic = await SameTopic.create(cluster.bootstrap, { ...windows, partitions: 3 })
      const [streams] = await Promise.all([topic.startStreams(), topic.startWeir()])
      const visits = new Visits(20_262, windows, 3)
      for (let step = 0; step < 8; step++) {
        await topic.write(step === 7 ? visits.last() : visits.take(120))
        await topic.isRead()
        const expected = topic.expected()
        await expect.poll(() => topic.told('streams'), patient).toEqual(expected)
        await expect.poll(() => topic.told('weir'), patient).toEqual(expected)
      }
      // A record that misses some of its windows only is late to Kafka Streams, once for each; Weir still counts it.
      const lateness = missed(topic.visits, windows)
      const late = lateness.filter(({ isLate }) => isLate).map(({ place }) => place)
      expect(await topic.late()).toEqual(late.sort())
      expect(await streams.end()).toBe(lateness.reduce((sum, { missed }) => sum + missed, 0))
      expect(lateness.filter(({ missed, isLate }) => missed > 0 && !isLate).length).toBeGreaterThan(10)
    })

    test('closes a window at the same ms; without a next record only Weir does, and only Weir counts without a key', async () => {
      const topic = await SameTopic.create(cluster.bootstrap, { sizeMs: 1_000, graceMs: 500, partitions: 1 })
      const [streams] = await Promise.all([topic.startStreams(), topic.startWeir()])
      const at = (ms: number, key: string | null = 'ann'): Visit => ({ partition: 0, key, time: base + ms })
      const result = (start: number, count: number, of = ' of ann') =>
        `window ${new Date(base + start).toISOString()}${of}: ${count}`
      const keyed = [result(0, 4), result(1_000, 4), result(2_000, 2)]
      const steps: [Visit[], told: number, late: number][] = [
        [[at(0), at(999), at(1_499)], 0, 0],
        [[at(999), at(0)], 0, 0],
        [[at(1_500)], 1, 0],
        [[at(999), at(0)], 1, 2],
        [[at(1_000), at(1_999), at(2_499)], 1, 2],
        [[at(2_500), at(1_999), at(2_499, null)], 2, 3],
        [[at(3_500), at(2_999), at(2_000, null)], 3, 5],
      ]
      for (const [visits, told, late] of steps) {
        await topic.write(visits)
        await topic.isRead()
        await expect.poll(() => topic.told('streams'), patient).toEqual(keyed.slice(0, told))
        const keyless = told < 3 ? [] : [result(2_000, 1, '')]
        await expect.poll(() => topic.told('weir'), patient).toEqual([...keyed.slice(0, told), ...keyless].sort())
        expect(await topic.late()).toHaveLength(late)
      }
      await topic.startWeir('soon', '200ms')
      await expect.poll(() => topic.told('soon'), patient).toContain(result(3_000, 1))
      expect(await topic.told('streams')).toEqual(keyed)
      expect(await streams.end()).toBe(5 + 1)
    })

    test('what is late after a restart was late before to Weir; Kafka Streams tells its window again', async () => {
      const topic = await SameTopic.create(cluster.bootstrap, { sizeMs: 1_000, graceMs: 500, partitions: 1 })
      const restart = async (...times: number[]) => {
        const [streams, weir] = await Promise.all([topic.startStreams(), topic.startWeir()])
        await topic.write(times.map((time) => ({ partition: 0, key: 'ann', time: base + time })))
        await topic.isRead()
        await weir.end()
        return streams.end()
      }
      expect(await restart(0, 999, 1_500)).toBe(0)
      const [first] = topic.expected()
      expect(await restart(999, 2_500)).toBe(0)
      const expected = topic.expected()
      expect(await topic.told('weir')).toEqual(expected)
      expect(await topic.late()).toEqual(['0@3'])
      // Its stream time begins anew, so the late record counts.
      const again = `${windowOf(first!)}: 3`
      expect(await topic.told('streams')).toEqual([...expected, again].sort())
    })

    test('under another key: the same while partitions keep step; when one is ahead, only Weir waits for the others', async () => {
      const windows = { sizeMs: 10_000, advanceMs: 4_000, graceMs: 5_000 }
      const topic = await SameTopic.create(cluster.bootstrap, { ...windows, partitions: 3, byPage: true })
      const [streams] = await Promise.all([topic.startStreams(), topic.startWeir()])
      for (let step = 0; step < 6; step++) {
        await topic.write([0, 1, 2].flatMap((partition) => inOrder(partition, step * 5_000, 80, 60)))
        await topic.isRead()
      }
      await topic.write(everyPage(3, 600_000))
      await topic.isRead()
      const inStep = topic.expected()
      await expect.poll(() => topic.told('streams'), patient).toEqual(inStep)
      await expect.poll(() => topic.told('weir'), patient).toEqual(inStep)
      expect(inStep.length).toBe(10 * pages.length)

      for (const ahead of [0, 1, 2]) {
        await topic.write(inOrder(ahead, 600_000, 600, 500))
        await topic.isRead()
      }
      await topic.write(everyPage(3, 1_200_000))
      await topic.isRead()
      const expected = topic.expected()
      await expect.poll(() => topic.told('weir'), patient).toEqual(expected)
      expect(await topic.late()).toEqual([])
      const told = await topic.told('streams')
      const dropped = await streams.end()
      expect(total(told)).toBe(total(expected) - dropped)
      expect(dropped).toBeGreaterThan(600)
      // It tells every window, and none of them twice.
      expect(told.map(windowOf)).toEqual(expected.map(windowOf))
    })
  },
)

const windowOf = (result: string) => result.slice(0, result.lastIndexOf(':'))

function total(results: readonly string[]): number {
  return results.reduce((sum, result) => sum + Number(result.slice(result.lastIndexOf(' '))), 0)
}
