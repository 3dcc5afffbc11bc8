import { z } from 'zod'
import type { WeirConfig } from '../engine/config.js'
import { ConfigError } from '../engine/config-error.js'
import { type Environment, resolveSettings } from '../model/index.js'

const options = z.strictObject({ topic: z.string().min(1).optional(), connection: z.string().min(1).optional() })

/** Where it is written down what people do. */
export interface AuditSettings {
  readonly topic: string
  readonly connection?: string | undefined
}

/** Undefined where no topic is named. Errors: `ConfigError`. */
export function auditSettings(
  { audit }: Pick<WeirConfig, 'audit'>,
  environment: Environment,
  directory?: string,
): AuditSettings | undefined {
  const parsed = options.safeParse(resolveSettings(audit ?? {}, environment, directory))
  if (!parsed.success)
    throw new ConfigError(
      parsed.error.issues.map(({ path, message }) => ({
        message: ['audit', ...path].join('.').concat(`: ${message}`),
      })),
    )
  const { topic, connection } = parsed.data
  return topic === undefined ? undefined : { topic, connection }
}
