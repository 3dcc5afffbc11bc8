import { expect, onTestFinished, test, vi } from 'vitest'
import { compile } from '../../src/engine/index.js'
import { flow, generate, kafka, memory } from '../../src/index.js'
import { nativeClient } from '../../src/kafka/client.js'
import { runningEngine } from '../support/running-engine.js'

test('a flow that is cut off leaves no producer behind once its connections are closed', async () => {
  const { prototype } = nativeClient().Producer
  const made = vi.spyOn(prototype, 'connect')
  const ended = vi.spyOn(prototype as unknown as { _disconnect(done: () => void): void }, '_disconnect')
  onTestFinished(() => void vi.restoreAllMocks())
  const numbers = flow(generate({ rate: 100, value: (_random, index) => index }), kafka.sink({ topic: 'numbers' }))
  const connections = { kafka: kafka({ brokers: 'embedded' }) }
  const topology = compile({ app: 'app', connections, checkpoints: memory(), flows: { numbers } }, { environment: {} })
  let close = () => Promise.resolve()
  const { engine } = runningEngine(topology, (stop) => {
    close = stop
  })
  await expect.poll(() => engine.status()[0]?.stages.at(-1)?.in ?? 0).toBeGreaterThan(0)
  await close()
  expect(made.mock.contexts.length).toBeGreaterThan(2)
  expect(new Set(ended.mock.contexts)).toEqual(new Set(made.mock.contexts))
})
