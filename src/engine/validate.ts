import type { z } from 'zod'
import { type DeclaredConnection, type Environment, messageOf, resolveSettings, WeirError } from '../model/index.js'
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
      const path = issue.path.length > 0 ? ` option '${issue.path.join('.')}'` : ''
      faults.push({ message: `${what}:${path} ${issue.message}`, declaredAt })
    }
  } catch (error) {
    const hint = error instanceof WeirError ? error.hint : undefined
    faults.push({ message: `${what}: ${messageOf(error)}`, hint, declaredAt })
  }
  return undefined
}
