import { kafkaConnection } from '../kafka/definition.js'
import { sink } from '../sinks/kafka.js'
import { source } from '../sources/kafka.js'

/** Declares a connection to Kafka, and the stages that use one: `kafka.source` and `kafka.sink`. */
export const kafka = Object.assign(kafkaConnection, { source, sink })
