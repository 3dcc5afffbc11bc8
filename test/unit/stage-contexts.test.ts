import { expect, test } from 'vitest'
import { StageContexts, type Surroundings } from '../../src/engine/stage-contexts.js'
import type { SinkNode, StageSummary } from '../../src/engine/topology.js'
import { type Origin, StreamRecord } from '../../src/model/index.js'

const origin: Origin = { topic: 't', partition: 0, offset: 0 }

function contextsOf(kinds: Readonly<Record<string, StageSummary['kind']>>, told: unknown[]): StageContexts {
  const summary = Object.entries(kinds).map(
    ([name, kind]): StageSummary => ({ name, kind, definition: name, detail: undefined, inputs: [], stores: [] }),
  )
  const around: Pick<Surroundings, 'observer'> = { observer: { written: (written) => told.push(written) } }
  return new StageContexts('flow', summary, around as Surroundings)
}

test('what goes by an internal topic is not told as written', () => {
  const told: unknown[] = []
  const contexts = contextsOf({ rows: 'sink', 'counts.repartition.sink': 'internal' }, told)
  for (const name of ['rows', 'counts.repartition.sink']) {
    contexts.watch({ name } as SinkNode)?.(new StreamRecord(null, name, 0, [], origin))
  }
  contexts.committed()
  expect(told).toEqual([{ flow: 'flow', stage: 'rows', value: 'rows' }])
})
