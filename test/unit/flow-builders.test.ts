import { expect, test } from 'vitest'
import { branch, flow, from, merge, otherwise, to } from '../../src/engine/flow-builders.js'
import type { Sink, Source } from '../../src/model/index.js'
import { map } from '../../src/operators/map.js'

const stage = <S>(name: string) => ({ definition: { name }, options: {}, declaredAt: new Error(name) }) as unknown as S
const numbers = stage<Source<number>>('numbers')
const texts = stage<Source<string>>('texts')
const sink = stage<Sink<unknown>>('sink')
const double = map((value: number) => value * 2)

test('a flow of a source, operators and a sink', () => {
  const declared = flow(numbers, double, double, sink)
  expect(declared.inputs).toEqual([{ source: numbers, stages: [] }])
  expect(declared.stages).toEqual([double, double])
  expect(declared.end).toBe(sink)
})

test('a flow of several inputs, each with stages of its own', () => {
  const { inputs } = flow(merge(from(numbers, double), texts, merge(texts)), sink)
  expect(inputs).toEqual([
    { source: numbers, stages: [double] },
    { source: texts, stages: [] },
    { source: texts, stages: [] },
  ])
})

test('a flow that ends in branches, some of them in branches again', () => {
  const isLarge = (value: number) => value > 10
  const inner = branch(otherwise<number>('all', sink))
  const { end } = flow(numbers, branch(to('large', isLarge, double, sink), otherwise('rest', inner)))
  expect(end).toEqual({
    branches: [
      { name: 'large', when: isLarge, stages: [double], end: sink },
      { name: 'rest', when: undefined, stages: [], end: inner },
    ],
  })
})

test('options do not change the declared flow', () => {
  const declared = flow(numbers, sink)
  expect(declared.with({ attempts: 3 }).options).toEqual({ attempts: 3 })
  expect(declared.options).toEqual({})
})
