import type { WeirConfig } from '../engine/config.js'

/** Types what `flows.config.ts` exports; it returns it as it is. */
export function defineConfig(config: WeirConfig): WeirConfig {
  return config
}
