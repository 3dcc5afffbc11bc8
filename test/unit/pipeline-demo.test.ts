import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, type TestContext, test, vi } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const patience = { timeout: 90_000, interval: 200 }

/** A system on a terminal, as somebody tries it who has set nothing, but for where its data go. */
function demo({ onTestFinished }: TestContext, system: string, more: Readonly<Record<string, string>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'weir-demo-'))
  const { PATH, HOME } = process.env
  // What is embedded lies beside the configuration.
  const config = join(folder, 'flows.config.ts')
  writeFileSync(config, `export { default } from '${join(root, 'flows.config.ts')}'\n`)
  const line = `stty cols 160 rows 60; exec ${process.execPath} bin/weir.js start ${system} --config ${config}`
  const child: ChildProcess = spawn('script', ['-qefc', line, '/dev/null'], {
    cwd: root,
    env: { PATH, HOME, SERVER_PORT: '0', TERM: 'xterm', NO_COLOR: '1', ...more },
    detached: true,
  })
  let said = ''
  for (const output of [child.stdout, child.stderr])
    output?.setEncoding('utf8').on('data', (text: string) => void (said += text))
  const ended = new Promise<unknown>((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)))
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid as number), 'SIGKILL')
    await ended
    rmSync(folder, { recursive: true })
  })
  const text = () => stripVTControlCharacters(said)
  const shows = (expected: RegExp) => vi.waitFor(() => expect(text()).toMatch(expected), patience)
  return { child, ended, text, shows }
}

describe.concurrent('tried with nothing named', () => {
  test('the pipeline shows rows, how many and how late they are, dead letters, and what checks find', async (context) => {
    const { child, ended, text, shows } = demo(context, 'pipeline', {
      PIPELINE_PARTITION: 'day',
      QUALITY_CRON: '*/5 * * * * *',
    })
    await shows(/event-pipeline running +events → pipeline\.events · exactly once/)
    await shows(/rows [1-9]\d*\/s +p99 \d+ ms +dead letters [1-9]/)
    await shows(/last rows in pipeline\.events\s+eventId +eventType.*\s+event-\d+ +\w+/)
    await shows(/data-quality running .*checks passed [1-6] +failed \d +errored \d +skipped \d +incidents \d/s)
    await shows(/last rows in pipeline\.quality_results\s+check +kind +status.*\s+there are events +volume +passed/)
    expect(text()).toMatch(/curl http:\/\/\S+\/events -H .*\s+-d '\{"eventType":"user_signup","userId":123\}'/)
    child.stdin?.write('\u0003')
    expect(await ended).toBe(0)
  })

  test('the seismic system keeps its shocks in Postgres, and shows values', async (context) => {
    const { child, ended, text, shows } = demo(context, 'seismic')
    await shows(/seismic-postgres running .*seismic_events.* exactly once/)
    await shows(/last rows in seismic_events\s+eventid +sensorid.*\s+sim-\S+ +[A-Z]+/)
    await shows(/last rows in seismic_sensors\s+sensorid +total.*\s+[A-Z]+ +\d+/)
    await shows(/last rows in seismic-events-aggregated\s+sensorid +total.*\s+[A-Z]+ +\d+/)
    expect(text()).not.toMatch(/"type":"Buffer"|ECONNREFUSED/)
    child.stdin?.write('\u0003')
    expect(await ended).toBe(0)
  })
})
