import { type EpochCommit, fencedError, type PartitionCommit, type TopicPartition } from '../model/index.js'
import { type CheckpointTables, type ChunkRow, furtherText, type PositionRow, SqlCheckpoints } from '../sql/index.js'
import type { MysqlClient } from './client.js'
import type { MysqlConnection } from './connection.js'
import { createOnce } from './create-once.js'
import { isDeadlock, mysqlFaults } from './faults.js'

/** How many bytes of chunks share a statement: far less than the smallest packet that a server takes by default. */
const bytesPerInsert = 2_000_000
const chunksPerInsert = 100
const attemptsAtDeadlock = 10

// Names are compared byte by byte, as Kafka does.
const partitionColumns = `
  task VARCHAR(255) NOT NULL, topic VARCHAR(249) NOT NULL, \`partition\` INT NOT NULL`
const storage = 'ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin'

const createPositions = `
  CREATE TABLE weir_positions (${partitionColumns},
    generation BIGINT NOT NULL, position BIGINT, stream_time DOUBLE, watermark DOUBLE,
    sequence BIGINT NOT NULL DEFAULT 0, further LONGTEXT,
    PRIMARY KEY (task, topic, \`partition\`)
  ) ${storage}`

const createChunks = `
  CREATE TABLE weir_chunks (${partitionColumns},
    sequence BIGINT NOT NULL, part INT NOT NULL, bytes LONGBLOB NOT NULL,
    PRIMARY KEY (task, topic, \`partition\`, sequence, part)
  ) ${storage}`

/** Tables of an earlier version lack the column; two sessions may find that out at once. */
async function addFurther(client: MysqlClient): Promise<void> {
  if (await hasFurther(client)) return
  try {
    await client.query('ALTER TABLE weir_positions ADD COLUMN further LONGTEXT')
  } catch (error) {
    if (!(await hasFurther(client))) throw error
  }
}

async function hasFurther(client: MysqlClient): Promise<boolean> {
  return (await client.query("SHOW COLUMNS FROM weir_positions LIKE 'further'")).length > 0
}

/** The rows of some partitions of a task, by their key alone, and always locked in its order. */
const ofPartitions = 'weir_positions FORCE INDEX (PRIMARY) WHERE task = ? AND (topic, `partition`) IN (?)'
const inOrder = 'ORDER BY topic, `partition` FOR UPDATE'

async function acquire(
  client: MysqlClient,
  task: string,
  partitions: readonly TopicPartition[],
): Promise<readonly PositionRow[]> {
  if (partitions.length === 0) return []
  const ordered = [...partitions].sort(byKey)
  const rows = ordered.map(({ topic, partition }) => [task, topic, partition, 1])
  await client.query(
    'INSERT INTO weir_positions (task, topic, `partition`, generation) VALUES ? ON DUPLICATE KEY UPDATE generation = generation + 1',
    [rows],
  )
  return client.query<PositionRow>(`SELECT * FROM ${ofPartitions} ${inOrder}`, [task, keysOf(ordered)])
}

/** Writes a commit. Errors: WEIR_CHECKPOINT_FENCED. */
async function writeCommit(client: MysqlClient, { task, partitions }: EpochCommit): Promise<void> {
  if (partitions.length === 0) return
  await refuseFenced(client, task, partitions)
  await writePositions(client, task, partitions)
  for (const chunks of portions(task, partitions)) await writeChunks(client, chunks)
  for (const { topic, partition, truncateBefore } of partitions) {
    if (truncateBefore === undefined) continue
    const where = 'task = ? AND topic = ? AND `partition` = ? AND sequence < ?'
    await client.query(`DELETE FROM weir_chunks WHERE ${where}`, [task, topic, partition, truncateBefore])
  }
}

/** Holds the rows of the partitions until the transaction ends. */
async function refuseFenced(client: MysqlClient, task: string, partitions: readonly PartitionCommit[]): Promise<void> {
  const query = `SELECT topic, \`partition\`, generation FROM ${ofPartitions} ${inOrder}`
  const held = await client.query<TopicPartition & { generation: number }>(query, [task, keysOf(partitions)])
  for (const { topic, partition, generation } of partitions) {
    const row = held.find((one) => one.partition === partition && one.topic === topic)
    if (row?.generation !== generation)
      throw fencedError(task, { topic, partition, generation: row?.generation ?? null })
  }
}

async function writePositions(
  client: MysqlClient,
  task: string,
  partitions: readonly PartitionCommit[],
): Promise<void> {
  const rows = partitions.map(({ topic, partition, generation, progress, sequence }) => {
    const { position, streamTime = null, watermark = null } = progress
    return [task, topic, partition, generation, position, streamTime, watermark, sequence, furtherText(progress)]
  })
  const columns = 'task, topic, `partition`, generation, position, stream_time, watermark, sequence, further'
  const changes = ['position', 'stream_time', 'watermark', 'sequence', 'further'].map(
    (name) => `${name} = VALUES(${name})`,
  )
  await client.query(`INSERT INTO weir_positions (${columns}) VALUES ? ON DUPLICATE KEY UPDATE ${changes.join(', ')}`, [
    rows,
  ])
}

type Chunk = [task: string, topic: string, partition: number, sequence: number, part: number, bytes: Uint8Array]

/** The chunks of a commit, as many together as a statement takes. */
function* portions(task: string, partitions: readonly PartitionCommit[]): Generator<Chunk[]> {
  let portion: Chunk[] = []
  let size = 0
  for (const { topic, partition, sequence, chunks } of partitions) {
    for (const [part, bytes] of chunks.entries()) {
      if (portion.length === chunksPerInsert || (portion.length > 0 && size + bytes.length > bytesPerInsert)) {
        yield portion
        portion = []
        size = 0
      }
      portion.push([task, topic, partition, sequence, part, bytes])
      size += bytes.length
    }
  }
  if (portion.length > 0) yield portion
}

async function writeChunks(client: MysqlClient, chunks: readonly Chunk[]): Promise<void> {
  const values = chunks.map(() => '(?, ?, ?, ?, ?, ?)').join(', ')
  const insert = 'INSERT INTO weir_chunks (task, topic, `partition`, sequence, part, bytes) VALUES'
  await client.execute(`${insert} ${values}`, chunks.flat())
}

/** Work in a transaction of its own; tasks that come into each other's way take turns. */
async function inTransaction<T>(client: MysqlClient, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    await client.query('START TRANSACTION')
    try {
      const result = await work()
      await client.query('COMMIT')
      return result
    } catch (error) {
      if (mysqlFaults.of(error) !== 'connection') await client.query('ROLLBACK')
      if (!isDeadlock(error) || attempt === attemptsAtDeadlock) throw error
    }
  }
}

const tables: CheckpointTables<MysqlClient> = {
  create: async (client) => {
    await createOnce(client, createPositions, 'weir_positions')
    await addFurther(client)
    await createOnce(client, createChunks, 'weir_chunks')
  },

  acquire: (client, task, partitions) => inTransaction(client, () => acquire(client, task, partitions)),

  positions: (client) => client.query<PositionRow & { readonly task: string }>('SELECT * FROM weir_positions'),

  chunks: (client, { task, topic, partition }, { sequence, part }, limit) => {
    const after = 'sequence >= ? AND (sequence > ? OR part > ?)'
    return client.execute<ChunkRow>(
      `SELECT sequence, part, bytes FROM weir_chunks WHERE task = ? AND topic = ? AND \`partition\` = ? AND ${after}
       ORDER BY sequence, part LIMIT ${limit}`,
      [task, topic, partition, sequence, sequence, part],
    )
  },

  begin: async (client, isFirst) => {
    if (isFirst) {
      await client.limitIdleness(true)
      await client.query('START TRANSACTION')
    }
    // It takes the place of the one before.
    await client.query('SAVEPOINT weir_work')
  },
  back: (client) => client.query('ROLLBACK TO SAVEPOINT weir_work'),
  // A deadlock undoes the whole transaction, and what came after would be in none.
  survives: (error) => ['record', 'setup'].includes(mysqlFaults.of(error)),
  rollback: async (client) => {
    await client.query('ROLLBACK')
    await client.limitIdleness(false)
  },
  ping: (client) => client.query('DO 1'),
  commit: async (client, commit, isOpen) => {
    if (!isOpen) return inTransaction(client, () => writeCommit(client, commit))
    // Fails when the server has ended the transaction behind our back.
    await client.query('RELEASE SAVEPOINT weir_work')
    await writeCommit(client, commit)
    await client.query('COMMIT')
    await client.limitIdleness(false)
  },
}

/** Positions and chunks in MySQL. */
export function mysqlCheckpoints(connection: MysqlConnection): SqlCheckpoints<MysqlClient> {
  return new SqlCheckpoints(connection, tables)
}

function keysOf(partitions: readonly TopicPartition[]): [string, number][] {
  return partitions.map(({ topic, partition }) => [topic, partition])
}

function byKey(a: TopicPartition, b: TopicPartition): number {
  return a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1
}
