import { expect, onTestFinished, test, vi } from 'vitest'
import { codes, nativeClient } from '../../src/kafka/client.js'
import { ReplayWriter } from '../../src/kafka/replay-writer.js'
import { connect } from '../servers/kafka-support.js'

test('a replay waits for the brokers to agree on who keeps how far it was', { timeout: 60_000 }, async () => {
  const { committed } = nativeClient().KafkaConsumer.prototype
  const left = [codes.notCoordinator, codes.coordinatorLoading]
  const asked = vi.spyOn(nativeClient().KafkaConsumer.prototype, 'committed').mockImplementation(function (
    this: unknown,
    ...args: unknown[]
  ) {
    const code = left.shift()
    if (code === undefined) return committed.apply(this as never, args as never)
    setImmediate(args.at(-1) as (error: unknown) => void, Object.assign(new Error('not yet'), { code }))
    return this as never
  })
  const connection = connect('embedded')
  const writer = new ReplayWriter(connection, 'copies', 'replay')
  onTestFinished(async () => {
    vi.restoreAllMocks()
    await writer.close()
    await connection.close()
  })
  expect(await writer.open(1)).toEqual(new Map())
  expect(asked).toHaveBeenCalledTimes(3)
})
