import { EMPTY, lastValueFrom, map, range } from 'rxjs'
import { expect, test, vi } from 'vitest'
import { compile } from '../../src/engine/index.js'
import { branch, flow, json, kafka, otherwise, to } from '../../src/index.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { runningEngine } from '../support/running-engine.js'
import { fresh, recordOf, sinkOf } from './kafka-support.js'

const many = 3_000
const ended = { defaultValue: undefined }

test('branches get every record while their transactions begin', async () => {
  const [input, even, odd] = [fresh('in'), fresh('even'), fresh('odd')]
  const declared = flow(
    kafka.source({ topic: input }),
    json<number>(),
    branch(
      to('even', (n) => n % 2 === 0, kafka.sink({ topic: even })),
      otherwise('odd', kafka.sink({ topic: odd })),
    ),
  ).with({ guarantee: 'exactly-once', checkpoints: 'kafka', epoch: { every: '200ms', maxRecords: 400 } })
  const connections = { kafka: kafka({ brokers: 'embedded' }) }
  const { engine } = runningEngine(compile({ connections, flows: { numbers: declared } }, { environment: {} }))
  const writer = sinkOf(engine.connection('kafka') as KafkaConnection, { topic: input })
  await lastValueFrom(writer.open?.() ?? EMPTY, ended)
  await lastValueFrom(writer.write(range(0, many).pipe(map((n) => recordOf(n, String(n))))), ended)
  await lastValueFrom(writer.close?.() ?? EMPTY, ended)

  const isDone = () => {
    const { partitions, failures } = engine.status()[0] as ReturnType<typeof engine.status>[number]
    expect(failures).toBe(0)
    expect(partitions.reduce((read, { offset }) => read + offset, 0)).toBe(many)
  }
  await vi.waitFor(isDone, { timeout: 60_000, interval: 100 })
  const { stages } = engine.status()[0] as ReturnType<typeof engine.status>[number]
  const counts = new Map(stages.map(({ stage, in: taken }) => [stage, taken]))
  expect(counts.get('kafka.sink')).toBe(many / 2)
  expect(counts.get('kafka.sink-2')).toBe(many / 2)
})
