import { lastValueFrom } from 'rxjs'
import { compile, Engine, type EngineParts, type WeirConfig } from '../../src/engine/index.js'
import { silentLogger, systemClock } from '../../src/model/index.js'

const log = {
  ...silentLogger,
  warn: (...words: unknown[]) => console.error('warn', ...words),
  error: (...words: unknown[]) => console.error('error', ...words),
  child: () => log,
}

/** Members of every group, the one of the internal topic too, are missed soon. */
export const client = { 'session.timeout.ms': 1_500, 'heartbeat.interval.ms': 300 }

/**
 * Runs flows in a process that a test kills, until SIGTERM has them drain: a dot for each epoch with records goes to the
 * output, warnings and errors to the other one.
 */
export async function runWorker(
  config: WeirConfig,
  more: Partial<EngineParts> = {},
  watch: (engine: Engine) => void = () => undefined,
): Promise<void> {
  const engine = new Engine(compile(config, { environment: {} }), {
    clock: systemClock,
    log,
    http: undefined as never,
    production: false,
    dataDirectory: '.',
    observer: { epoch: ({ records }) => records > 0 && process.stdout.write('.') },
    ...more,
  })
  process.once('SIGTERM', () => engine.stop())
  watch(engine)
  await lastValueFrom(engine.run(), { defaultValue: undefined })
  await engine.close()
}
