import { afterEach, describe, expect, test, vi } from 'vitest'
import * as changing from '../../src/engine/change-progress.js'
import { EventTime } from '../../src/engine/event-time.js'
import type { PartitionProgress } from '../../src/model/index.js'
import { allDone, busy, firstBroken, writing } from './mutants.js'

/** Sets time back, but for some of it. */
function settingBack(keep: (before: PartitionProgress | undefined) => Partial<PartitionProgress>): void {
  const { setBack } = changing
  vi.spyOn(changing, 'setBack').mockImplementation((progress, ...given) => {
    return { ...setBack(progress, ...given), ...keep(progress) }
  })
}

/** Who begins with partitions of such topics does not know that time was set back. */
function forgetting(isForgotten: (topic: string) => boolean): void {
  const { assign } = EventTime.prototype
  vi.spyOn(EventTime.prototype, 'assign').mockImplementation(function (this: EventTime, partition, progress) {
    assign.call(this, partition, progress && isForgotten(partition.topic) ? { ...progress, timeSets: 0 } : progress)
  })
}

const isInternal = (topic: string) => topic.endsWith('.repartition')
const all = /after time was set back/
const shared = /^shared windows after time was set back/

describe('time that is set back', busy, () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('stays what it is by the records', () => {
    settingBack((progress) => ({ streamTime: progress?.streamTime }))
    expect(firstBroken(all)).toMatch(allDone)
  })

  test('stays what it is by the results', () => {
    settingBack((progress) => ({ watermark: progress?.watermark }))
    expect(firstBroken(all)).toMatch(allDone)
  })

  test('is not counted, so that those behind an internal topic do not hear of it', () => {
    settingBack((progress) => ({ timeSets: progress?.timeSets }))
    expect(firstBroken(shared)).toMatch(allDone)
  })

  test('is forgotten by those who tell others', () => {
    forgetting((topic) => !isInternal(topic))
    expect(firstBroken(shared)).toMatch(allDone)
  })

  test('is forgotten by those behind an internal topic, who go on with what they were told before', () => {
    forgetting(isInternal)
    expect(firstBroken(shared)).toMatch(allDone)
  })

  test('is not told', () => {
    const writer = writing((message) => (message.kind === 'told' ? { ...message, timeSets: 0 } : message))
    expect(firstBroken(shared, { writer })).toMatch(allDone)
  })
})
