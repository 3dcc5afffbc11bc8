import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { MysqlConnection } from '../../src/mysql/connection.js'
import { done } from '../contracts/checkpoints.contract.js'
import { mysqlHarness, openMysql } from '../contracts/mysql-under-test.js'
import { recordsOf } from '../contracts/sinks.contract.js'
import { MariadbServer, missingMariadb } from './mariadb-server.js'

const missing = missingMariadb()
const because = missing === undefined ? '' : ` (${missing})`
const self = (value: unknown) => value

interface Refusing {
  /** Makes the table \`items (id, value)\` that refuses a value. */
  readonly table: readonly string[]
  readonly bad: unknown
  readonly good?: unknown
}

const items = (value: string, more = '') =>
  `CREATE TABLE items (id INT PRIMARY KEY, value ${value}${more}) CHARACTER SET utf8mb4`
const trigger = (signal: string) => [
  items('VARCHAR(10)'),
  `CREATE TRIGGER refuse BEFORE INSERT ON items FOR EACH ROW BEGIN IF NEW.value = 'bad' THEN ${signal}; END IF; END`,
]

/** How a database says no to one row. */
const refusing: Readonly<Record<string, Refusing>> = {
  'a check': { table: [items('VARCHAR(10)', ", CHECK (value <> 'bad')")], bad: 'bad' },
  'an enumeration': { table: [items("ENUM('good')")], bad: 'bad' },
  'no partition': {
    table: [
      'CREATE TABLE items (id INT, value INT, PRIMARY KEY (id, value)) PARTITION BY LIST (value) (PARTITION one VALUES IN (1))',
    ],
    bad: 2,
    good: 1,
  },
  'a number too large': { table: [items('DECIMAL(3, 1)')], bad: 100, good: 1 },
  'a number below none': { table: [items('INT UNSIGNED')], bad: -1, good: 1 },
  'a text too long': { table: [items('VARCHAR(10)')], bad: 'x'.repeat(11) },
  'a text for a number': { table: [items('INT')], bad: 'bad', good: 1 },
  'a zero date': { table: [items('DATE')], bad: '0000-00-00', good: '2024-01-01' },
  'a day that there is not': { table: [items('DATE')], bad: '2024-02-30', good: '2024-01-01' },
  'a year before all': { table: [items('TIMESTAMP NULL')], bad: new Date(-1e13), good: '2024-01-01 00:00:00' },
  'no JSON': { table: [items('JSON')], bad: '{', good: {} },
  'no address': { table: [items('INET6')], bad: 'bad', good: '::1' },
  'null for a column that takes none': { table: [items('INT NOT NULL')], bad: null, good: 1 },
  'a foreign key': {
    table: [
      'DROP TABLE IF EXISTS words',
      'CREATE TABLE words (word INT PRIMARY KEY)',
      'INSERT INTO words VALUES (1)',
      items('INT', ', FOREIGN KEY (value) REFERENCES words (word)'),
    ],
    bad: 2,
    good: 1,
  },
  'a trigger that signals': { table: trigger("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'"), bad: 'bad' },
  'a trigger that signals a state of its own': {
    table: trigger("SIGNAL SQLSTATE 'MY001' SET MESSAGE_TEXT = 'no'"),
    bad: 'bad',
  },
  'a trigger that reads what is not there': { table: trigger('SELECT COUNT(*) INTO @n FROM nowhere'), bad: 'bad' },
  'a trigger that reads a column that is not there': {
    table: ['CREATE OR REPLACE TABLE words (word INT)', ...trigger('SELECT MAX(letter) INTO @n FROM words')],
    bad: 'bad',
  },
  'a trigger that calls what is not there': { table: trigger('SET NEW.value = nowhere()'), bad: 'bad' },
  'a trigger that finds too much': {
    table: [
      'CREATE OR REPLACE TABLE words (word INT)',
      'INSERT INTO words VALUES (1), (2)',
      ...trigger('SELECT word INTO @n FROM words'),
    ],
    bad: 'bad',
  },
  'a trigger that writes to its own table': { table: trigger('DELETE FROM items'), bad: 'bad' },
  'a trigger that has no case for it': {
    table: trigger("CASE NEW.value WHEN 'x' THEN SET @n = 1; END CASE"),
    bad: 'bad',
  },
  'a trigger that signals a general error': {
    table: trigger("SIGNAL SQLSTATE 'HY000' SET MESSAGE_TEXT = 'no'"),
    bad: 'bad',
  },
}

describe.skipIf(missing !== undefined)(`rows that MySQL refuses${because}`, () => {
  let server: MariadbServer
  let connection: MysqlConnection

  beforeAll(async () => {
    // What it is set up to, the sink does not go by.
    server = await MariadbServer.start()
    await server.query("SET GLOBAL sql_mode = ''")
    connection = openMysql({ url: server.url })
  })
  afterAll(async () => {
    await connection?.close()
    await server?.close()
  })
  beforeEach(() => server.query('DROP TABLE IF EXISTS items'))

  describe.each([
    ['in the transaction', true],
    ['on its own', false],
  ])('%s', (_, joins) => {
    test.each(Object.entries(refusing))(
      '%s: it is rejected, and all others are written',
      async (_, { table, bad, good = 'good' }) => {
        for (const statement of table) await server.query(statement)
        const sink = mysqlHarness(connection, { table: 'items', row: self }, joins)
        await sink.open()
        const ids = Array.from({ length: 20 }, (_, id) => id)
        const isBad = (id: number) => id % 20 === 3 || id % 20 === 17
        await done(sink.epoch(recordsOf(ids.map((id) => ({ id, value: isBad(id) ? bad : good })))))
        expect(sink.rejected.map(({ record }) => (record.value as { id: number }).id).sort((a, b) => a - b)).toEqual(
          ids.filter(isBad),
        )
        for (const { error } of sink.rejected) expect(error.culprit).toBe('record')
        const written = await server.query<{ id: number }>('SELECT id FROM items ORDER BY id')
        expect(written.map(({ id }) => id)).toEqual(ids.filter((id) => !isBad(id)))
      },
    )

    test('a value for a column that is computed of others is refused', async () => {
      await server.query('CREATE TABLE items (id INT PRIMARY KEY, value INT, twice INT AS (2 * value) STORED)')
      const sink = mysqlHarness(connection, { table: 'items', row: self }, joins)
      await sink.open()
      await done(
        sink.epoch(
          recordsOf([
            { id: 1, value: 1 },
            { id: 2, value: 2, twice: 9 },
            { id: 3, value: 3 },
          ]),
        ),
      )
      expect(sink.rejected.map(({ record }) => (record.value as { id: number }).id)).toEqual([2])
      expect(await server.query('SELECT * FROM items ORDER BY id')).toEqual([
        { id: 1, value: 1, twice: 2 },
        { id: 3, value: 3, twice: 6 },
      ])
    })

    test('a server that takes less than before gets less', async () => {
      await server.query(items('LONGTEXT'))
      const own = openMysql({ url: server.url })
      onTestFinished(() => own.close())
      const sink = mysqlHarness(own, { table: 'items', row: self }, joins)
      await sink.open()
      const values = Array.from({ length: 30 }, (_, id) => ({ id, value: 'x'.repeat(100_000) }))
      await server.query('SET GLOBAL max_allowed_packet = 1048576')
      onTestFinished(async () => void (await server.query('SET GLOBAL max_allowed_packet = 16777216')))
      // Sessions keep what they began with.
      await done(sink.epoch(recordsOf(values.slice(0, 1)))).catch(() => undefined)
      await server.terminateSessions()
      const left = values.slice(1)
      for (let tries = 0; ; tries++) {
        try {
          await done(sink.epoch(recordsOf([...left, { id: 99, value: 'x'.repeat(1_500_000) }])))
          break
        } catch (error) {
          expect(error).toMatchObject({ remedy: 'retry', culprit: 'system' })
          if (tries === 5) throw error
        }
      }
      expect(sink.rejected.map(({ record }) => (record.value as { id: number }).id)).toEqual([99])
      expect(await server.query('SELECT count(*) AS count FROM items')).toEqual([{ count: 30 }])
    })
  })
})
