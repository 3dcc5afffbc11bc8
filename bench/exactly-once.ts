/** Throughput exactly once, against a hand-written loop that keeps no durable state. */
import { compareCounts } from './support/counts.js'

await compareCounts('loop', 0.85)
