import { defineConnection } from '../model/index.js'
import { KafkaChannelReader, KafkaChannelWriter } from './channel.js'
import { KafkaCheckpoints } from './checkpoints.js'
import { KafkaConnection } from './connection.js'
import { KafkaDeadLetters } from './dead-letters.js'
import { brokerList, connectionOptions } from './options.js'
import { KafkaTable } from './table.js'

export const kafkaConnection = defineConnection({
  kind: 'kafka',
  summary: 'A Kafka cluster, or an embedded broker for trying things out.',
  options: connectionOptions,
  isEmbedded: ({ brokers }) => brokerList(brokers) === 'embedded',
  open: (options, context) => new KafkaConnection(options, context),
  channel: {
    writer: (connection, request) => new KafkaChannelWriter(connection, request),
    source: (connection, request) => new KafkaChannelReader(connection, request),
    describe: (connection, topics) => connection.topics.describe(topics),
    logEnds: (connection, partitions) => connection.topics.logEnds(partitions),
    table: (connection, request) => (connection.isEmbedded ? undefined : new KafkaTable(connection, request)),
  },
  checkpoints: (connection) => new KafkaCheckpoints(connection),
  deadLetters: (connection, topic) => new KafkaDeadLetters(connection, topic),
})
