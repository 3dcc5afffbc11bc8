import { expect, test } from 'vitest'
import { auditSettings } from '../../src/config/audit.js'
import { kafka } from '../../src/connectors/kafka.js'
import { postgres } from '../../src/connectors/postgres.js'
import { env } from '../../src/model/index.js'

const broker = kafka({ brokers: 'localhost:9092' })
const connections = { broker, db: postgres({ url: 'postgres://localhost/shop' }) }

test('the audit has a topic, or there is none', () => {
  const audit = { topic: env('AUDIT_TOPIC').optional() }
  const told = { to: 'topic', name: 'deeds', connection: 'broker', intakes: true }
  expect(auditSettings({ audit, connections }, { AUDIT_TOPIC: 'deeds' })).toEqual(told)
  expect(auditSettings({ audit }, {})).toBeUndefined()
  expect(auditSettings({}, {})).toBeUndefined()
})

test('the audit has a table in PostgreSQL, and says that requests are none of it', () => {
  const audit = { table: 'pipeline.audit', intakes: false }
  const told = { to: 'table', name: 'pipeline.audit', connection: 'db', intakes: false }
  expect(auditSettings({ audit, connections }, {})).toEqual(told)
})

test.each([
  ['what it does not know', { topics: 'deeds' }, /audit: .*topics/],
  ['a topic and a table', { topic: 'deeds', table: 'deeds' }, /audit: .*not both/],
  ['a table that is more than a name', { table: 'deeds; drop table deeds' }, /audit\.table: .*pipeline\.audit/],
  ['a connection of another kind', { topic: 'deeds', connection: 'db' }, /audit\.connection.*There are broker/],
])('%s is refused', (_, audit, message) => {
  expect(() => auditSettings({ audit: audit as object, connections }, {})).toThrow(message)
})

test('one of several connections has to be named', () => {
  const several = { ...connections, other: broker }
  expect(() => auditSettings({ audit: { topic: 'deeds' }, connections: several }, {})).toThrow(/broker, other/)
  const named = { topic: 'deeds', connection: 'other' }
  expect(auditSettings({ audit: named, connections: several }, {})).toMatchObject({ connection: 'other' })
})
