import type { ClientBase } from 'pg'
import { type EpochCommit, fencedError, type TopicPartition, WeirError } from '../model/index.js'
import { type CheckpointTables, type ChunkRow, furtherText, type PositionRow, SqlCheckpoints } from '../sql/index.js'
import type { PostgresConnection } from './connection.js'
import { createOnce } from './create-once.js'
import { postgresFaults } from './faults.js'

const createTables = `
  CREATE TABLE IF NOT EXISTS weir_positions (
    task text, topic text, partition integer,
    generation bigint NOT NULL, position bigint, stream_time double precision, watermark double precision,
    sequence bigint NOT NULL DEFAULT 0, further text,
    PRIMARY KEY (task, topic, partition)
  );
  CREATE TABLE IF NOT EXISTS weir_chunks (
    task text, topic text, partition integer, sequence bigint, part integer, bytes bytea NOT NULL,
    PRIMARY KEY (task, topic, partition, sequence, part)
  );
  -- A chunk is written once, read seldom and dropped soon: not worth compressing.
  ALTER TABLE weir_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL`

/** Tables of an earlier version lack it. */
const lacksFurther = `
  SELECT NOT EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = 'weir_positions'::regclass AND attname = 'further' AND NOT attisdropped
  ) AS lacks`

/** Ordered, so that two tasks that take over from each other don't lock rows crosswise. */
const acquire = `
  INSERT INTO weir_positions AS p (task, topic, partition, generation)
  SELECT $1, topic, partition, 1 FROM unnest($2::text[], $3::integer[]) AS a(topic, partition)
  ORDER BY topic, partition
  ON CONFLICT (task, topic, partition) DO UPDATE SET generation = p.generation + 1
  RETURNING topic, partition, generation, position, stream_time, watermark, sequence, further`

const load = `
  SELECT sequence, part, bytes FROM weir_chunks
  WHERE task = $1 AND topic = $2 AND partition = $3 AND (sequence, part) > ($4, $5)
  ORDER BY sequence, part LIMIT $6`

/**
 * All of a commit in one statement, so that a commit that no sink has joined is one round trip. `held` locks the rows
 * as they are now, not as they were when the statement began; with one of another generation nothing is written.
 */
const commit = `
  WITH given AS (
    SELECT * FROM unnest($2::text[], $3::integer[], $4::bigint[], $5::bigint[], $6::double precision[],
      $7::double precision[], $8::bigint[], $9::bigint[], $10::text[])
      AS g(topic, partition, generation, position, stream_time, watermark, sequence, truncate_before, further)
  ), held AS (
    SELECT p.topic, p.partition, p.generation FROM weir_positions p JOIN given g USING (topic, partition)
    WHERE p.task = $1 ORDER BY p.topic, p.partition FOR UPDATE OF p
  ), fenced AS (
    SELECT g.topic, g.partition, h.generation FROM given g LEFT JOIN held h USING (topic, partition)
    WHERE h.generation IS DISTINCT FROM g.generation
  ), moved AS (
    UPDATE weir_positions p SET position = g.position, stream_time = g.stream_time, watermark = g.watermark,
      sequence = g.sequence, further = g.further
    FROM given g
    WHERE p.task = $1 AND p.topic = g.topic AND p.partition = g.partition AND NOT EXISTS (SELECT FROM fenced)
  ), appended AS (
    INSERT INTO weir_chunks (task, topic, partition, sequence, part, bytes)
    SELECT $1, c.topic, c.partition, c.sequence, c.part, substring($17::bytea FROM c.start FOR c.length)
    FROM unnest($11::text[], $12::integer[], $13::bigint[], $14::integer[], $15::integer[], $16::integer[])
      AS c(topic, partition, sequence, part, start, length)
    WHERE NOT EXISTS (SELECT FROM fenced)
  ), truncated AS (
    DELETE FROM weir_chunks k USING given g
    WHERE k.task = $1 AND k.topic = g.topic AND k.partition = g.partition AND k.sequence < g.truncate_before
      AND NOT EXISTS (SELECT FROM fenced)
  )
  SELECT topic, partition, generation FROM fenced`

/** Writes a commit, or nothing of it. Errors: WEIR_CHECKPOINT_FENCED. */
async function writeCommit(client: ClientBase, { task, partitions }: EpochCommit): Promise<void> {
  if (partitions.length === 0) return
  const values = [task, ...columnsOfPositions(partitions), ...columnsOfChunks(partitions)]
  const { rows } = await client.query<TopicPartition & { generation: string | null }>(commit, values)
  const [fenced] = rows
  if (fenced !== undefined) throw fencedError(task, fenced)
}

function columnsOfPositions(partitions: EpochCommit['partitions']): unknown[][] {
  return [
    partitions.map(({ topic }) => topic),
    partitions.map(({ partition }) => partition),
    partitions.map(({ generation }) => generation),
    partitions.map(({ progress }) => progress.position),
    partitions.map(({ progress }) => progress.streamTime),
    partitions.map(({ progress }) => progress.watermark),
    partitions.map(({ sequence }) => sequence),
    partitions.map(({ truncateBefore }) => truncateBefore),
    partitions.map(({ progress }) => furtherText(progress)),
  ]
}

/** The chunks' bytes go as one parameter, which unlike an array of them is sent as it is. */
function columnsOfChunks(partitions: EpochCommit['partitions']): unknown[] {
  const chunks = partitions.flatMap(({ topic, partition, sequence, chunks }) =>
    chunks.map((bytes, part) => ({ topic, partition, sequence, part, bytes })),
  )
  let end = 1
  return [
    chunks.map(({ topic }) => topic),
    chunks.map(({ partition }) => partition),
    chunks.map(({ sequence }) => sequence),
    chunks.map(({ part }) => part),
    chunks.map(({ bytes }) => (end += bytes.length) - bytes.length),
    chunks.map(({ bytes }) => bytes.length),
    Buffer.concat(chunks.map(({ bytes }) => bytes)),
  ]
}

/** The server answers the COMMIT of a transaction that has failed with success, and rolls back. */
async function commitJoined(client: ClientBase): Promise<void> {
  const { command } = await client.query('COMMIT')
  if (command !== 'COMMIT')
    throw new WeirError('WEIR_CHECKPOINT_UNREACHABLE', `committing: the server answered ${command}`)
}

const tables: CheckpointTables<ClientBase> = {
  create: async (client) => {
    await createOnce(client, createTables, 'weir_positions', 'weir_chunks')
    const { rows } = await client.query<{ readonly lacks: boolean }>(lacksFurther)
    if (rows[0]?.lacks) await client.query('ALTER TABLE weir_positions ADD COLUMN IF NOT EXISTS further text')
  },

  acquire: async (client, task, partitions) => {
    const values = [task, partitions.map(({ topic }) => topic), partitions.map(({ partition }) => partition)]
    return (await client.query<PositionRow>(acquire, values)).rows
  },

  positions: async (client) =>
    (await client.query<PositionRow & { readonly task: string }>('SELECT * FROM weir_positions')).rows,

  chunks: async (client, { task, topic, partition }, after, limit) => {
    const values = [task, topic, partition, after.sequence, after.part, limit]
    return (await client.query<ChunkRow>(load, values)).rows
  },

  // The fence has to see what others committed while this transaction was open.
  begin: (client, isFirst, isCareful) => {
    const begin = `BEGIN ISOLATION LEVEL READ COMMITTED${isCareful ? '; SET CONSTRAINTS ALL IMMEDIATE' : ''}`
    return client.query(`${isFirst ? begin : 'RELEASE SAVEPOINT weir_work'}; SAVEPOINT weir_work`)
  },
  back: (client) => client.query('ROLLBACK TO SAVEPOINT weir_work'),
  survives: (error) => postgresFaults.of(error) !== 'connection',
  rollback: (client) => client.query('ROLLBACK'),
  ping: (client) => client.query('SELECT 1'),
  commit: async (client, commit, isOpen) => {
    await writeCommit(client, commit)
    if (isOpen) await commitJoined(client)
  },
}

/** Positions and chunks in PostgreSQL. */
export function postgresCheckpoints(connection: PostgresConnection): SqlCheckpoints<ClientBase> {
  return new SqlCheckpoints<ClientBase>(connection, tables)
}
