import { z } from 'zod'
import type { WeirConfig } from '../engine/config.js'
import { ConfigError } from '../engine/config-error.js'
import { type Environment, resolveSettings } from '../model/index.js'

const options = z
  .strictObject({
    topic: z.string().min(1).optional(),
    table: z
      .string()
      .regex(/^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/, "expected a name such as 'pipeline.audit'")
      .optional(),
    connection: z.string().min(1).optional(),
    intakes: z.boolean().default(true),
  })
  .refine(({ topic, table }) => topic === undefined || table === undefined, 'expected a topic or a table, not both')

/** Where it is written down what people do. */
export interface AuditSettings {
  readonly to: 'topic' | 'table'
  readonly name: string
  /** A connection to Kafka, or to PostgreSQL. */
  readonly connection: string
  /** Whether requests that bring records are written down as well. */
  readonly intakes: boolean
}

/** Undefined where neither a topic nor a table is named. Errors: `ConfigError`. */
export function auditSettings(
  { audit, connections }: Pick<WeirConfig, 'audit' | 'connections'>,
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
  const { topic, table, connection, intakes } = parsed.data
  const name = topic ?? table
  if (name === undefined) return undefined
  const to = topic === undefined ? 'table' : 'topic'
  return { to, name, connection: connectionFor(to, connection, connections), intakes }
}

const kinds = { topic: 'kafka', table: 'postgres' } as const

function connectionFor(
  to: AuditSettings['to'],
  asked: string | undefined,
  connections: WeirConfig['connections'] = {},
): string {
  const known = Object.entries(connections)
    .filter(([, { definition }]) => definition.kind === kinds[to])
    .map(([name]) => name)
  const name = asked ?? (known.length === 1 ? known[0] : undefined)
  if (name !== undefined && known.includes(name)) return name
  const hint = known.length === 0 ? `Declare a connection by ${kinds[to]}().` : `There are ${known.join(', ')}.`
  throw new ConfigError([
    { message: `audit.connection: a ${to} wants the name of a connection of the kind ${kinds[to]}`, hint },
  ])
}
