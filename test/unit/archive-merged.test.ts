import fc from 'fast-check'
import { expect, test } from 'vitest'
import { merged } from '../../src/cli/archive/merged.js'

interface Item {
  readonly source: number
  readonly key: number
  readonly index: number
}

async function* batches(items: readonly Item[], size: number) {
  for (let start = 0; start < items.length; start += size) yield await Promise.resolve(items.slice(start, start + size))
}

const keys = fc.array(fc.nat(20), { maxLength: 12 })

test('sources in order are one in order; items of a source stay in theirs, whatever their keys', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(keys, { maxLength: 5 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 5 }),
      async (all, isSorted, size) => {
        const sources = all.map((some, source) =>
          (isSorted ? [...some].sort((a, b) => a - b) : some).map((key, index) => ({ source, key, index })),
        )
        const found: Item[] = []
        const least = (items: readonly Item[]) => Math.min(...items.map(({ key }) => key), 20)
        const given = sources.map((items) => ({ from: isSorted ? least(items) : 0, open: () => batches(items, size) }))
        for await (const some of merged(given, ({ key }) => key)) found.push(...some)
        expect(found).toHaveLength(sources.flat().length)
        sources.forEach((items, source) => expect(found.filter((item) => item.source === source)).toEqual(items))
        if (isSorted) expect(found.map(({ key }) => key)).toEqual(found.map(({ key }) => key).sort((a, b) => a - b))
      },
    ),
  )
})

test('a source is opened when it is reached, and not before', async () => {
  const opened: number[] = []
  const source = (from: number) => ({
    from,
    open: () => {
      opened.push(from)
      return batches([{ source: 0, key: from, index: 0 }], 1)
    },
  })
  const rows = merged([source(10), source(0), source(5)], ({ key }) => key)
  await rows.next()
  expect(opened).toEqual([0])
  await rows.next()
  expect(opened).toEqual([0, 5])
})
