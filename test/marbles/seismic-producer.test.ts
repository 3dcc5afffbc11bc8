import { expect, test } from 'vitest'
import { seismicProducer } from '../../src/flows/seismic-producer.js'
import { simulated } from '../../src/flows/seismic-sensors.js'
import { schemaRegistry } from '../../src/index.js'
import { randomOf } from '../../src/sources/generate/random.js'
import { at, marbles } from '../../src/testing/index.js'

const shock = (index: number) => simulated(0)(randomOf(1, index), index, index * 100)
const [a, b] = [shock(0), shock(1)]
const text = (value: unknown) => Buffer.from(JSON.stringify(value))
const connections = { registry: schemaRegistry({ url: '' }) }

test(
  'every shock is written as it was recorded, with the key that its source gave it',
  marbles(({ flow }) => {
    const run = flow(seismicProducer, { connections })
    run.source('ab-', { a: at(a, { key: a.sensorid }), b: at(b, { key: b.sensorid }) })
    run.sink('  ab-', { a: text(a), b: text(b) })
    run.finally(() => expect(run.virtual.written.map(({ record }) => record.key)).toEqual([a.sensorid, b.sensorid]))
  }),
)

test(
  'after a crash the shocks that were not committed are written again, the same ones',
  marbles(({ flow }) => {
    const run = flow(seismicProducer, { connections, epoch: { maxRecords: 10, everyMs: 4 } })
    run.source('ab-----', { a, b })
    run.crash(' ---x---')
    run.sink('  ab-(ab)', { a: text(a), b: text(b) })
  }),
)
