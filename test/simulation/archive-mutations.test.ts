import { afterEach, describe, expect, test, vi } from 'vitest'
import { Assignment } from '../../src/engine/assignment.js'
import { FlowTask } from '../../src/engine/task.js'
import type { Position } from '../../src/model/index.js'
import type { Cut, DecidedCut } from '../../src/sinks/archive/cut.js'
import { Folders } from '../../src/sinks/archive/folders.js'
import { ArchiveTask } from '../../src/sinks/archive/task.js'
import { busy, firstBroken } from './mutants.js'

/** What a mutant reaches of a class that others do not. */
type Inside = Record<string, (...args: never[]) => unknown>
const inside = (prototype: object) => prototype as Inside

const archives = /^an archive/
const anything = /./

afterEach(() => vi.restoreAllMocks())

describe('an archive that breaks a promise is noticed', busy, () => {
  test('positions are not held back', () => {
    vi.spyOn(ArchiveTask.prototype, 'holds').mockReturnValue(undefined)
    expect(firstBroken(archives)).toMatch(/^no committed position is ahead/)
  })

  test('a file is stored before its cut is committed', () => {
    const { cut } = inside(ArchiveTask.prototype)
    vi.spyOn(inside(ArchiveTask.prototype), 'cut').mockImplementation(function (this: Inside, ...args) {
      const upload = cut?.apply(this, args)
      this['start']?.(upload as never)
      return upload
    })
    expect(firstBroken(archives)).toMatch(/^each result comes out once/)
  })

  test('what an epoch that failed has taken in stays', () => {
    const { drop } = inside(ArchiveTask.prototype)
    vi.spyOn(inside(ArchiveTask.prototype), 'drop').mockImplementation(function (this: Inside) {
      if ((this as unknown as { lanes: { size: number } }).lanes.size === 0) drop?.call(this)
    })
    expect(firstBroken(archives)).toMatch(anything)
  })

  test('a file that is made again ends elsewhere', () => {
    const { make } = inside(ArchiveTask.prototype)
    vi.spyOn(inside(ArchiveTask.prototype), 'make').mockImplementation(function (this: Inside, ...args) {
      const [lane, folder, file, cut] = args as unknown as [never, never, never, Cut]
      make?.call(this, lane, folder, file, { ...cut, records: Math.max(1, cut.records - 1) } as never)
    })
    expect(firstBroken(archives)).toMatch(anything)
  })

  test('what is before a stored file counts as stored', () => {
    vi.spyOn(Folders.prototype, 'done').mockImplementation(function (this: Folders, folder, { name, last }) {
      const cuts = this.cuts(folder).filter((cut: DecidedCut) => cut.name !== name)
      const stored = Math.max(last, this.get(folder)?.stored ?? -1)
      inside(this)['put']?.(folder as never, { id: undefined, stored, cuts } as never)
    })
    expect(firstBroken(archives)).toMatch(anything)
  })

  test('a partition that is held back goes on, after a rebalance, where it was read to', () => {
    vi.spyOn(inside(FlowTask.prototype), 'durable').mockImplementation((position) => position)
    expect(firstBroken(archives)).toMatch(/^no committed position is ahead/)
    vi.restoreAllMocks()
    const { settled } = Assignment.prototype
    vi.spyOn(Assignment.prototype, 'settled').mockImplementation(function (this: Assignment) {
      const held = (this as unknown as { heldBack?: readonly Position[] }).heldBack ?? []
      for (const position of held) this.base(position)
      settled.call(this)
    })
    const { positions } = inside(FlowTask.prototype)
    vi.spyOn(inside(FlowTask.prototype), 'positions').mockImplementation(function (this: Inside) {
      const read = positions?.call(this) as readonly Position[]
      ;(this['assignment'] as unknown as { heldBack: readonly Position[] }).heldBack = read
      return read
    })
    expect(firstBroken(archives)).toMatch(/^no committed position is ahead/)
  })
})
