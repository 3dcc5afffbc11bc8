import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Violation {
  readonly from: string
  readonly to: string
  readonly rule: { readonly name: string }
}

/** The import rules that a tree of files breaks, as `from: rule`. Each file is given by what it imports. */
function violations(files: Readonly<Record<string, readonly string[]>>): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'weir-layers-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [file, imports] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), imports.map((target) => `import '${target}'\n`).join(''))
  }
  for (const name of ['node_modules', 'package.json', 'tsconfig.json', '.dependency-cruiser.cjs']) {
    symlinkSync(join(root, name), join(folder, name))
  }
  const cruise = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs')
  const command = [cruise, 'src', '--output-type', 'json', '--preserve-symlinks']
  const output = execFileSync(process.execPath, command, { cwd: folder, encoding: 'utf8', maxBuffer: 1e8 })
  const { summary } = JSON.parse(output) as { summary: { violations: readonly Violation[] } }
  return summary.violations.map(({ from, rule }) => `${from}: ${rule.name}`).sort()
}

const leaves = {
  'src/model/record.ts': ['rxjs'],
  'src/engine/task.ts': ['../model/record.js'],
  'src/kafka/consumer.ts': ['@confluentinc/kafka-javascript', '../model/record.js'],
  'src/worker/worker.ts': ['../engine/task.js', 'fastify'],
  'src/index.ts': ['./model/record.js'],
}

test('imports that go down the layers are allowed', () => {
  expect(
    violations({
      ...leaves,
      'src/sources/kafka.ts': ['../kafka/consumer.js', '../model/record.js'],
      'src/sinks/postgres.ts': ['pg', './postgres/rows.js'],
      'src/sinks/postgres/rows.ts': ['pg-copy-streams'],
      'src/flows/some.ts': ['../index.js', 'zod'],
      'src/cli/main.ts': ['../worker/worker.js', '../kafka/consumer.js'],
    }),
  ).toEqual([])
})

test('imports that go up or across are refused', () => {
  expect(
    violations({
      ...leaves,
      'src/model/clock.ts': ['../engine/task.js'],
      'src/model/duration.ts': ['pino'],
      'src/engine/commit.ts': ['../kafka/consumer.js'],
      'src/kafka/admin.ts': ['../worker/worker.js'],
      'src/sources/file.ts': ['../engine/task.js'],
      'src/operators/some.ts': ['../worker/worker.js'],
      'src/sinks/console.ts': ['../engine/task.js'],
      'src/flows/some.ts': ['../model/record.js'],
      'src/worker/log.ts': ['../cli/main.js'],
      'src/cli/main.ts': [],
    }),
  ).toEqual([
    'src/engine/commit.ts: layer-engine',
    'src/flows/some.ts: layer-flows',
    'src/kafka/admin.ts: layer-kafka',
    'src/model/clock.ts: layer-model',
    'src/model/duration.ts: model-is-pure',
    'src/model/duration.ts: only-worker-cli-names-pino',
    'src/operators/some.ts: layer-operators',
    'src/sinks/console.ts: layer-sinks',
    'src/sources/file.ts: layer-sources',
    'src/worker/log.ts: layer-worker',
  ])
})

test('each client is named by its own folder alone', () => {
  expect(
    violations({
      ...leaves,
      'src/sources/kafka.ts': ['@confluentinc/kafka-javascript'],
      'src/sinks/kafka.ts': ['pg'],
      'src/engine/task.ts': ['jiti'],
      'src/state/some.ts': ['vitest'],
    }),
  ).toEqual([
    'src/engine/task.ts: only-config-names-jiti',
    'src/sinks/kafka.ts: only-postgres-sinks-postgres-names-pg',
    'src/sources/kafka.ts: only-kafka-names-confluentinc',
    'src/state/some.ts: no-undeclared-package',
  ])
})
