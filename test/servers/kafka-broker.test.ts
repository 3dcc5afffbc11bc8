import { expect, test } from 'vitest'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, Member, openSink, recordOf, sinkOf, sourceOf, text, writeAll } from './kafka-support.js'

const missing = requireKafka()

test.skipIf(missing !== undefined)('three brokers come up, and what they hold outlives their kill', async () => {
  const cluster = await KafkaCluster.start({ brokers: 3 })
  const connection = connect(cluster.bootstrap)
  try {
    const topic = fresh('kept')
    const sink = sinkOf(connection, { topic, partitions: 1 })
    await openSink(sink)
    await writeAll(sink, [recordOf('one')])
    for (const broker of [0, 1, 2]) await cluster.kill(broker)
    await Promise.all([0, 1, 2].map((broker) => cluster.restart(broker)))
    await writeAll(sink, [recordOf('two')])
    const member = new Member(sourceOf(connection, { topic }))
    await member.until(() => member.partitions === 1, 'the partition is assigned')
    expect((await member.read(2)).map(text)).toEqual(['one', 'two'])
    member.leave()
  } finally {
    await connection.close()
    await cluster.close()
  }
})
