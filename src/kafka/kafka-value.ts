/** What a record of Kafka holds: bytes, or nothing at all. */
export type KafkaValue = Buffer | null
