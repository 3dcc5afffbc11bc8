import { describe } from 'vitest'
import { KafkaCheckpoints } from '../../src/kafka/checkpoints.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { checkpointsContract } from '../contracts/checkpoints.contract.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect } from './kafka-support.js'

const missing = requireKafka()

describe.skipIf(missing !== undefined)(`real Kafka${missing === undefined ? '' : ` (${missing})`}`, () => {
  checkpointsContract('Kafka', async () => {
    const cluster = await KafkaCluster.start({ brokers: 1 })
    const connections: KafkaConnection[] = []
    return {
      connect: async () => {
        const connection = connect(cluster.bootstrap)
        connections.push(connection)
        return new KafkaCheckpoints(connection)
      },
      close: async () => {
        await Promise.all(connections.map((connection) => connection.close()))
        await cluster.close()
      },
    }
  })
})
