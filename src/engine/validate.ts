import type { z } from 'zod'
import {
  type DeclaredConnection,
  type Environment,
  isPlainObject,
  messageOf,
  resolveSettings,
  Setting,
  WeirError,
} from '../model/index.js'
import type { ConfigFault } from './config-error.js'

/** The options of a stage or a connection, settings read; undefined where they don't hold, and then the faults are told. */
export function validate(
  what: string,
  declared: Pick<DeclaredConnection, 'options' | 'declaredAt'> & { definition: { options: z.ZodType } },
  environment: Environment,
  faults: ConfigFault[],
): unknown {
  const { definition, declaredAt } = declared
  try {
    const parsed = definition.options.safeParse(resolveSettings(declared.options, environment))
    if (parsed.success) return parsed.data
    for (const issue of parsed.error.issues) {
      const option = issue.path.length > 0 ? ` option '${issue.path.join('.')}'` : ''
      const path = `${option}${variablesOf(declared.options, issue.path)}`
      faults.push({ message: `${what}:${path} ${issue.message}`, declaredAt })
    }
  } catch (error) {
    const hint = error instanceof WeirError ? error.hint : undefined
    faults.push({ message: `${what}: ${messageOf(error)}`, hint, declaredAt })
  }
  return undefined
}

/** Who configures by variables may never have seen the option. */
function variablesOf(options: unknown, path: readonly PropertyKey[]): string {
  let value = options
  for (const key of path) value = isPlainObject(value) ? value[String(key)] : value
  return value instanceof Setting ? ` (${value.names.join(' or ')})` : ''
}
