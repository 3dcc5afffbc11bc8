import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const tsc = join(root, 'node_modules/typescript/bin/tsc')
const folder = mkdtempSync(join(tmpdir(), 'weir-package-'))
const project = join(folder, 'project')
const installed = join(project, 'node_modules/weirflow')

const config = `
import { consoleSink, defineConfig, flow, http, map } from 'weirflow'
import { z } from 'zod'
import { shout } from './shout.js'

const Greeting = z.strictObject({ name: z.string() })

export default defineConfig({
  flows: {
    greetings: flow(
      http.post('/greetings', { body: Greeting }),
      map((greeting) => shout(greeting.name)),
      consoleSink(),
    ),
  },
})
`

/** What somebody gets who installs the package: packed, unpacked, with its dependencies linked instead of fetched. */
beforeAll(() => {
  const packed = join(folder, 'packed')
  for (const name of ['package.json', 'bin', 'README.md', 'LICENSE'])
    cpSync(join(root, name), join(packed, name), { recursive: true })
  run([tsc, '-p', 'tsconfig.build.json', '--outDir', join(packed, 'dist')], root)
  execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: packed, stdio: 'ignore' })
  const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  mkdirSync(installed, { recursive: true })
  execFileSync('tar', ['-xzf', join(folder, tarball), '-C', installed, '--strip-components=1'])
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name))
  }
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(project, 'shout.ts'), 'export const shout = (name: string): string => `${name.toUpperCase()}!`\n')
  writeFileSync(join(project, 'flows.config.ts'), config)
})

afterAll(() => rmSync(folder, { recursive: true }))

function run(command: readonly string[], cwd: string): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd, encoding: 'utf8' })
  return { status, output: `${stdout}${stderr}` }
}

test('it ships what runs, and neither sources nor scripts', () => {
  expect(readdirSync(installed).sort()).toEqual(['LICENSE', 'README.md', 'bin', 'dist', 'package.json'])
})

test('a configuration of a project that depends on it compiles against its types', () => {
  const options = ['--strict', '--noEmit', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2023']
  expect(run([tsc, ...options, 'flows.config.ts'], project)).toEqual({ status: 0, output: '' })
})

test('a stage that does not fit is a type error there', () => {
  const wrong = config.replace('greeting.name', 'greeting.surname')
  writeFileSync(join(project, 'wrong.ts'), wrong)
  const options = ['--strict', '--noEmit', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2023']
  const { status, output } = run([tsc, ...options, 'wrong.ts'], project)
  expect(output).toContain("Property 'surname' does not exist")
  expect(status).not.toBe(0)
})

test('its command loads that configuration, and both speak of the same weirflow', () => {
  const { status, output } = run([join(installed, 'bin/weir.js'), 'check'], project)
  expect(output).toContain('greetings')
  expect(status).toBe(0)
})

test('so does the command of a clone', () => {
  const { status, output } = run(
    [join(root, 'bin/weir.js'), 'check', '--config', join(project, 'flows.config.ts')],
    root,
  )
  expect(output).toContain('greetings')
  expect(status).toBe(0)
})
