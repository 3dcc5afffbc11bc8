import { kafkaConnection } from '../kafka/definition.js'
import { sink } from '../sinks/kafka.js'
import { source } from '../sources/kafka.js'
import { lag } from '../sources/lag.js'

/** Declares a connection to Kafka, and the stages that use one: `kafka.source`, `kafka.sink` and `kafka.lag`. */
export const kafka = Object.assign(kafkaConnection, { source, sink, lag })
