/** Throughput exactly once, against Kafka Streams, which has a transaction a second too. */
import { compareCounts } from './support/counts.js'

await compareCounts('streams', 1)
