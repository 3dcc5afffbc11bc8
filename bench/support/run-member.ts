import type { Engine, EngineParts, WeirConfig } from 'weirflow'
import { engineOf } from './engine.js'

/** Runs a configuration in this process until the parent ends it, which drains it and leaves the group. */
export function runMember(config: WeirConfig, observer: NonNullable<EngineParts['observer']>): Engine {
  const engine = engineOf(config, observer)
  process.once('SIGTERM', () => engine.stop())
  engine.run().subscribe({
    error: (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
    complete: () => void engine.close().then(() => process.exit(0)),
  })
  return engine
}

export function tell(told: object): void {
  if (process.connected) process.send?.(told)
}
