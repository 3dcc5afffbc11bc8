import type { Redis } from 'ioredis'
import {
  type AcquiredPartition,
  type EpochCommit,
  fencedError,
  type PartitionCommit,
  type PartitionProgress,
  type TopicPartition,
} from '../model/index.js'
import { chunksKey, generationField, partitionOf, progressField, taskKey } from './checkpoint-keys.js'

/** A command that writes: its first key, as clusters ask for it, and all its words. */
export interface RedisCommand {
  readonly key: string
  readonly words: readonly (string | number | Uint8Array)[]
}

/** What is kept of a partition besides its generation. */
interface StoredProgress extends PartitionProgress {
  readonly sequence: number
}

const acquireScript = `
  local answers = {}
  for at = 1, #ARGV, 2 do
    answers[#answers + 1] = { redis.call('HINCRBY', KEYS[1], ARGV[at], 1), redis.call('HGET', KEYS[1], ARGV[at + 1]) }
  end
  return answers`

/** Bumps the generations of the partitions, in one script. Answers in the order of the question. */
export async function acquirePartitions(
  client: Redis,
  task: string,
  partitions: readonly TopicPartition[],
): Promise<readonly AcquiredPartition[]> {
  const fields = partitions.flatMap((partition) => [generationField(partition), progressField(partition)])
  const answers = (await client.eval(acquireScript, 1, taskKey(task), ...fields)) as [number, string | null][]
  return partitions.map(({ topic, partition }, index) => {
    const [generation, progress = null] = answers[index] ?? [0]
    return { topic, partition, generation, ...parseProgress(progress) }
  })
}

export function parseProgress(text: string | null): Pick<AcquiredPartition, 'sequence' | 'progress'> {
  if (text === null) return { sequence: 0, progress: undefined }
  const { sequence, ...progress } = JSON.parse(text) as StoredProgress
  return { sequence, progress }
}

/**
 * Compares the generations of all partitions, then carries out commands: all or nothing, since no other command runs
 * meanwhile, and the server writes the effects of a script to its file as one. Answers with the first partition that is
 * fenced off, and who has it.
 */
const commitScript = `
  local at = 0
  local function take()
    at = at + 1
    return ARGV[at]
  end
  for _ = 1, tonumber(take()) do
    local field, given = take(), take()
    local held = redis.call('HGET', KEYS[1], field)
    if held ~= given then return { field, held or '' } end
  end
  for _ = 1, tonumber(take()) do
    local words = {}
    for word = 1, tonumber(take()) do words[word] = take() end
    redis.call(unpack(words))
  end
  return {}`

/** Writes a commit and what joined it, or nothing of it. Errors: WEIR_CHECKPOINT_FENCED. */
export async function writeCommit(
  client: Redis,
  { task, partitions }: EpochCommit,
  joined: readonly RedisCommand[],
): Promise<void> {
  // Positions come last: should a command fail, the epoch is not committed.
  const commands = [...joined, ...partitions.flatMap((partition) => chunkCommands(task, partition))]
  const positions = partitions.length === 0 ? [] : [progressCommand(task, partitions)]
  const all = [...commands, ...positions]
  const keys = [...new Set([taskKey(task), ...all.map(({ key }) => key)])]
  const words = [
    partitions.length,
    ...partitions.flatMap((partition) => [generationField(partition), partition.generation]),
    all.length,
    ...all.flatMap((command) => [command.words.length, ...command.words]),
  ]
  const [field, generation] = (await client.eval(
    commitScript,
    keys.length,
    ...keys,
    ...words.map(argument),
  )) as string[]
  if (field !== undefined) throw fencedError(task, { ...partitionOf(field), generation: generation || null })
}

function chunkCommands(task: string, partition: PartitionCommit): RedisCommand[] {
  const { sequence, chunks, truncateBefore } = partition
  const key = chunksKey(task, partition)
  const appended = chunks.map((bytes, part) => ({
    key,
    words: ['XADD', key, `${sequence}-${part + 1}`, 'bytes', bytes],
  }))
  if (truncateBefore === undefined) return appended
  return [...appended, { key, words: ['XTRIM', key, 'MINID', '=', `${truncateBefore}-0`] }]
}

function progressCommand(task: string, partitions: readonly PartitionCommit[]): RedisCommand {
  const key = taskKey(task)
  const fields = partitions.flatMap(({ progress, sequence, ...partition }) => {
    const stored: StoredProgress = { ...progress, sequence }
    return [progressField(partition), JSON.stringify(stored)]
  })
  return { key, words: ['HSET', key, ...fields] }
}

/** The client knows bytes as buffers only. */
function argument(word: string | number | Uint8Array): string | number | Buffer {
  return word instanceof Uint8Array ? Buffer.from(word.buffer, word.byteOffset, word.byteLength) : word
}
