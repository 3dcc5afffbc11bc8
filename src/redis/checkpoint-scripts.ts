import {
  type AcquiredPartition,
  type EpochCommit,
  fencedError,
  type PartitionCommit,
  type PartitionProgress,
  partitionName,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import { chunksKey, generationField, partitionOf, progressField, taskKey } from './checkpoint-keys.js'
import type { RedisClient } from './connection.js'
import type { KnownProgress } from './known-progress.js'
import { carryingOut, keysOf, takingWords, toCarryOut } from './scripts.js'
import { send } from './send.js'
import type { RedisCommand } from './write-plan.js'

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
  client: RedisClient,
  task: string,
  partitions: readonly TopicPartition[],
  known: KnownProgress,
): Promise<readonly AcquiredPartition[]> {
  const fields = partitions.flatMap((partition) => [generationField(partition), progressField(partition)])
  const answers = (await client.eval(acquireScript, 1, taskKey(task), ...fields)) as [number, string | null][]
  return partitions.map(({ topic, partition }, index) => {
    const [generation, progress = null] = answers[index] ?? [0]
    known.set(task, { topic, partition, generation }, progress ?? '')
    return { topic, partition, generation, ...parseProgress(progress) }
  })
}

export function parseProgress(text: string | null): Pick<AcquiredPartition, 'sequence' | 'progress'> {
  if (text === null) return { sequence: 0, progress: undefined }
  const { sequence, ...progress } = JSON.parse(text) as StoredProgress
  return { sequence, progress }
}

/**
 * Compares generation and progress of all partitions, and the types of keys, then carries out commands: all or nothing,
 * since no other command runs meanwhile, and the server writes the effects of a script to its file as one. Answers with
 * the first field or key that is not what it should be, and what it is.
 */
const commitScript = `
  ${takingWords}
  for _ = 1, tonumber(take()) do
    local field, given = take(), take()
    local held = redis.call('HGET', KEYS[1], field) or ''
    if given ~= '*' and held ~= given then return { field, held } end
  end
  for _ = 1, tonumber(take()) do
    local key, wanted = take(), take()
    local held = redis.call('TYPE', key).ok
    if held ~= 'none' and held ~= wanted then return { 'type:' .. key, held } end
  end
  ${carryingOut}
  return {}`

/** Writes a commit and what joined it, or nothing of it. Errors: WEIR_CHECKPOINT_FENCED. */
export async function writeCommit(
  client: RedisClient,
  { task, partitions }: EpochCommit,
  joined: readonly RedisCommand[],
  known: KnownProgress,
): Promise<void> {
  // Positions come last: should a command fail, the epoch is not committed.
  const commands = [...joined, ...partitions.flatMap((partition) => chunkCommands(task, partition))]
  const positions = partitions.length === 0 ? [] : [progressCommand(task, partitions)]
  const all = [...commands, ...positions]
  const keys = keysOf(taskKey(task), all)
  const typed = typedKeys(joined)
  const words = [
    2 * partitions.length,
    ...partitions.flatMap((partition) => [generationField(partition), partition.generation]),
    ...partitions.flatMap((partition) => [progressField(partition), known.of(task, partition) ?? '*']),
    typed.length / 2,
    ...typed,
    ...toCarryOut(all),
  ]
  const [field, held] = (await send(client, ['eval', commitScript, keys.length, ...keys, ...words])) as string[]
  if (field?.startsWith('type:')) throw takenError(task, field.slice('type:'.length), held)
  if (field?.startsWith('progress:')) throw lostError(task, partitionOf(field))
  if (field !== undefined) throw fencedError(task, { ...partitionOf(field), generation: held || null })
  for (const partition of partitions) known.set(task, partition, progressText(partition))
}

/** Keys and what they have to hold, in turns, as the first command on each has it. */
function typedKeys(commands: readonly RedisCommand[]): readonly string[] {
  const seen = new Set<string>()
  return commands.flatMap(({ key, type }) => {
    const isFirst = !seen.has(key)
    seen.add(key)
    return isFirst && type !== undefined ? [key, type] : []
  })
}

function takenError(task: string, key: string, held: string | undefined): WeirError {
  const message = `committing an epoch of '${task}': key '${key}' has become a ${held} meanwhile`
  const hint = 'It is tried again, and what the key does not take is rejected.'
  return new WeirError('WEIR_SINK_FAILED', message, { hint })
}

function lostError(task: string, partition: TopicPartition): WeirError {
  const message = `committing an epoch of '${task}': ${partitionName(partition)}: Redis has lost commits that it had acknowledged`
  const hint = 'The task goes back to what is left. With appendfsync always Redis loses none.'
  return new WeirError('WEIR_CHECKPOINT_FENCED', message, { partition, hint })
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
  const fields = partitions.flatMap((partition) => [progressField(partition), progressText(partition)])
  return { key, words: ['HSET', key, ...fields] }
}

function progressText({ progress, sequence }: PartitionCommit): string {
  const stored: StoredProgress = { ...progress, sequence }
  return JSON.stringify(stored)
}
