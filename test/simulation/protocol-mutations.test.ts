import { afterEach, describe, expect, test, vi } from 'vitest'
import type { PartitionCommit } from '../../src/model/index.js'
import { Grant } from '../../src/state/checkpoint-protocol/grant.js'
import { LogLoading } from '../../src/state/checkpoint-protocol/loading.js'
import { CheckpointProtocol } from '../../src/state/checkpoint-protocol/protocol.js'
import { busy, firstBroken, results } from './mutants.js'

/** The machines as they are inside. */
interface ProtocolInside {
  claim(acquisition: unknown): unknown
  fence(acquisition: unknown): unknown
  lose(error: unknown): unknown
}
interface GrantInside {
  sequence: number
  keptFrom: number
  marks: { offset: number; sequence: number; started: number }[]
  commits: number
}
const protocol = CheckpointProtocol.prototype as unknown as ProtocolInside

const fenced = /^(no effect counts after fencing|each result comes out once|positions do not go back)/

describe('the protocol of checkpoints in Kafka', busy, () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('who takes a partition over fences nobody off', () => {
    vi.spyOn(protocol, 'fence').mockImplementation(function (this: ProtocolInside, acquisition) {
      return this.claim(acquisition)
    })
    expect(firstBroken(/transactions/)).toMatch(fenced)
  })

  test('a producer is kept after an error of which the outcome is unknown', () => {
    vi.spyOn(protocol, 'lose').mockImplementation(() => undefined)
    expect(firstBroken(/transactions/)).toMatch(/./)
  })

  test('the last word on a partition is deleted', () => {
    vi.spyOn(Grant.prototype, 'obsolete').mockImplementation(function (this: Grant) {
      return (this as unknown as GrantInside).marks.splice(0).at(-1)?.offset
    })
    expect(firstBroken(/transactions/)).toMatch(/./)
  })

  test('chunks are deleted that are needed', () => {
    vi.spyOn(Grant.prototype, 'obsolete').mockImplementation(function (this: Grant) {
      const { marks, commits } = this as unknown as GrantInside
      const count = marks.findLastIndex(({ started }) => commits > started) + 1
      return marks.splice(0, count).at(-1)?.offset
    })
    expect(firstBroken(/windows in transactions/)).toMatch(results)
  })

  test('where nothing changed in the stores, no position is written', () => {
    const { begins } = Grant.prototype
    vi.spyOn(Grant.prototype, 'begins').mockImplementation(function (this: Grant, commit: PartitionCommit) {
      return begins.call(this, commit) && commit.chunks.length > 0
    })
    expect(firstBroken(/transactions/)).toMatch(/^what is committed stands in the log/)
  })

  test('chunks are not loaded', () => {
    vi.spyOn(LogLoading.prototype as unknown as { chunksOf(): unknown }, 'chunksOf').mockImplementation(
      function* (this: { isEnd: boolean }) {
        this.isEnd = true
      },
    )
    expect(firstBroken(/windows in transactions/)).toMatch(results)
  })
})
