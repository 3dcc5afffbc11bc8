import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { weirIn } from '../support/weir.js'

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'weir-dlq-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const configure = (stages: string) =>
  writeFileSync(
    join(cwd, 'flows.config.ts'),
    `import { consoleSink, defineConfig, flow, json, kafka } from 'weirflow'
    export default defineConfig({
      app: 'shop', connections: { kafka: kafka({ brokers: 'embedded' }) },
      flows: { billing: flow(kafka.source({ topic: 'orders', group: 'g' }), ${stages} consoleSink()) },
    })`,
  )

test.each([
  ['a time', ['ls', '--since', 'yesterday'], "--since: 'yesterday' is no time"],
  ['a number of letters', ['ls', '--limit', 'all'], "--limit: 'all' is no number of letters"],
  ['how often', ['replay', '--max-attempts', '0'], "--max-attempts: '0' is no number"],
  ['the place of a letter', ['replay', 'orders@1'], "'orders@1' is no place of a letter"],
  ['a transform', ['replay', '--transform', 'mend.ts'], '--transform: there is no'],
  ['a connection', ['ls', '--topic', 'dlt', '--connection', 'other'], 'which Kafka? there is connection kafka'],
])('%s that is none is refused before anything is read', async (_, argv, said) => {
  configure('json(),')
  const told = await weirIn(cwd, ['dlq', ...argv])
  expect(told.said).toContain(said)
  expect(told.code).toBe(2)
})

test('a transform without a default export is refused', async () => {
  configure('json(),')
  writeFileSync(join(cwd, 'mend.ts'), 'export const mend = (record: object) => record')
  const told = await weirIn(cwd, ['dlq', 'replay', '--transform', 'mend.ts'])
  expect(told).toMatchObject({ code: 2 })
  expect(told.said).toContain('mend.ts has no default export that is a function')
})

test('an embedded broker, which is one of its own, has no letters of another process', async () => {
  configure('json(),')
  const told = await weirIn(cwd, ['dlq', 'ls'])
  expect(told).toMatchObject({ code: 2 })
  expect(told.said).toContain("connection 'kafka' is an embedded broker")
})

test('flows that write no dead letters have none', async () => {
  writeFileSync(
    join(cwd, 'flows.config.ts'),
    `import { consoleSink, defineConfig, flow, generate } from 'weirflow'
    export default defineConfig({ flows: { ticks: flow(generate({ rate: 1, value: () => 1 }), consoleSink()) } })`,
  )
  const told = await weirIn(cwd, ['dlq', 'ls'])
  expect(told.said).toContain('no flow of the configuration writes dead letters: name their topic with --topic')
  expect(told.code).toBe(2)
})
