import type { z } from 'zod'
import {
  type DeclaredConnection,
  messageOf,
  resolveSettings,
  type Setting,
  SettingError,
  type SettingSource,
  type Surroundings,
  WeirError,
} from '../model/index.js'
import { ConfigError, type ConfigFault } from './config-error.js'

/** The options of a stage or a connection, settings read; undefined where they don't hold, and then the faults are told. */
export function validate(
  what: string,
  declared: Pick<DeclaredConnection, 'options' | 'declaredAt'> & { definition: { options: z.ZodType } },
  from: Surroundings,
  faults: ConfigFault[],
): unknown {
  const { definition, declaredAt } = declared
  const errors: unknown[] = []
  const settings = new Map<string, ReadSetting>()
  const options = resolveSettings(declared.options, from.environment, from.directory, {
    read: (path, setting, source) => settings.set(path.join('.'), { setting, source }),
    failed: (error) => errors.push(error),
  })
  if (errors.length > 0) {
    for (const error of errors) tellOnce(faultsOf(what, error, declaredAt), faults)
    return undefined
  }
  const parsed = definition.options.safeParse(options)
  if (parsed.success) return parsed.data
  for (const issue of parsed.error.issues) {
    const option = issue.path.length > 0 ? ` option '${issue.path.join('.')}'` : ''
    const { names, place } = originOf(issue.path, settings, from)
    faults.push({ message: `${what}:${option}${names} ${issue.message}`, declaredAt, place })
  }
  return undefined
}

/** What was wrong with a setting, where it says so itself, or else where it was asked for. */
export function faultsOf(what: string, error: unknown, declaredAt?: Error): readonly ConfigFault[] {
  if (error instanceof ConfigError) return error.faults
  const hint = error instanceof WeirError ? error.hint : undefined
  const place = error instanceof SettingError ? error.source : undefined
  return [{ message: `${what}: ${messageOf(error)}`, hint, declaredAt, place }]
}

/** Many settings are read from one file, and each would tell all that is wrong with it. */
export function tellOnce(found: readonly ConfigFault[], faults: ConfigFault[]): void {
  for (const fault of found) if (!faults.includes(fault)) faults.push(fault)
}

interface ReadSetting {
  readonly setting: Setting<unknown>
  readonly source: SettingSource | undefined
}

/** What an option, or what it is a part of, was read from: who writes variables or a file may never have seen the option. */
function originOf(path: readonly PropertyKey[], settings: ReadonlyMap<string, ReadSetting>, from: Surroundings) {
  for (let length = path.length; length >= 0; length--) {
    const read = settings.get(path.slice(0, length).join('.'))
    if (read === undefined) continue
    const { setting, source } = read
    const names = source === undefined ? setting.namesIn(from) : [source.nameIn(from)]
    return { names: ` (${names.join(' or ')})`, place: (source ?? setting).placeIn?.(from) }
  }
  return { names: '', place: undefined }
}
