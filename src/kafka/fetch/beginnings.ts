import type { Position, TopicPartition } from '../../model/index.js'
import type { Brokers } from './brokers.js'
import { listOffsets } from './protocol/list-offsets.js'

const answerMs = 5_000

/**
 * Where these partitions begin, of those whose leaders say so. Errors: `ClientError` when a leader does not answer.
 */
export async function beginningsOf(brokers: Brokers, partitions: readonly TopicPartition[]): Promise<Position[]> {
  const byNode = new Map<number, TopicPartition[]>()
  for (const one of partitions) {
    const node = brokers.leaderOf(one.topic, one.partition)?.node
    if (node !== undefined) byNode.set(node, [...(byNode.get(node) ?? []), one])
  }
  const answers = await Promise.all([...byNode].map(([node, led]) => ask(brokers, node, led)))
  return answers.flat()
}

async function ask(brokers: Brokers, node: number, partitions: readonly TopicPartition[]): Promise<Position[]> {
  const topics = [...new Set(partitions.map(({ topic }) => topic))].map((topic) => ({
    topic,
    partitions: partitions.filter((one) => one.topic === topic).map(({ partition }) => partition),
  }))
  const connection = await brokers.connectionTo(node)
  const answer = await connection.request(listOffsets, { topics }, answerMs)
  return answer.partitions
    .filter(({ error, offset }) => error === 0 && offset >= 0)
    .map(({ topic, partition, offset }) => ({ topic, partition, offset }))
}
