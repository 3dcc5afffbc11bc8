import { expect, test } from 'vitest'
import { StageContexts, type Surroundings } from '../../src/engine/stage-contexts.js'
import type { SinkNode, StageSummary } from '../../src/engine/topology.js'
import { type Origin, StreamRecord, silentLogger } from '../../src/model/index.js'

const origin: Origin = { topic: 't', partition: 0, offset: 0 }

function contextsOf(kinds: Readonly<Record<string, StageSummary['kind']>>, told: unknown[]): StageContexts {
  const summary = Object.entries(kinds).map(
    ([name, kind]): StageSummary => ({ name, kind, definition: name, detail: undefined, inputs: [], stores: [] }),
  )
  const around: Pick<Surroundings, 'observer' | 'log' | 'joins'> = {
    observer: { written: (written) => told.push(written) },
    log: silentLogger,
    joins: [],
  }
  return new StageContexts('flow', summary, around as Surroundings)
}

const nodeOf = (name: string, definition: Partial<SinkNode['definition']> = {}) => ({ name, definition }) as SinkNode

test('what a sink makes is told as written, and what it makes it of is not', () => {
  const told: unknown[] = []
  const contexts = contextsOf({ archive: 'sink' }, told)
  const node = nodeOf('archive', { makes: 'files' })
  expect(contexts.watch(node)).toBeUndefined()
  contexts.sink(node).made?.({ file: 'a' })
  contexts.committed()
  expect(told).toEqual([{ flow: 'flow', stage: 'archive', value: { file: 'a' } }])
})

test('what goes by an internal topic is not told as written', () => {
  const told: unknown[] = []
  const contexts = contextsOf({ rows: 'sink', 'counts.repartition.sink': 'internal' }, told)
  for (const name of ['rows', 'counts.repartition.sink']) {
    contexts.watch(nodeOf(name))?.(new StreamRecord(null, name, 0, [], origin))
  }
  contexts.committed()
  expect(told).toEqual([{ flow: 'flow', stage: 'rows', value: 'rows' }])
})
