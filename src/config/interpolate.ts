import { type Environment, env, messageOf } from '../model/index.js'

/** A text with variables put in. */
export interface Interpolated {
  readonly text: string
  /** What they held. */
  readonly values: readonly string[]
  readonly faults: readonly {
    /** The reference, as it stands in the text. */
    readonly at: string
    readonly message: string
    readonly hint: string
    /** Whether it would not do in any environment. */
    readonly isWrong: boolean
  }[]
}

const howTo = 'Write ${NAME} or ${NAME:-default}, or $${ for the characters themselves.'

/**
 * Puts variables in for `${NAME}` and `${NAME:-default}`, where the default is for those that are not set, or empty. `$${` is
 * `${`. What a variable holds is not looked into again.
 */
export function interpolate(template: string, environment: Environment): Interpolated {
  const values: string[] = []
  const faults: Interpolated['faults'][number][] = []
  const text = template.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (at, reference: string | undefined, end: string) => {
    if (reference === undefined) return '${'
    const [, name, fallback] = /^([A-Za-z_]\w*)(?::-(.*))?$/s.exec(reference) ?? []
    if (name === undefined || end === '') {
      faults.push({
        at,
        message: `'${at}' is no variable${end === '' ? ': it does not end' : ''}`,
        hint: howTo,
        isWrong: true,
      })
      return ''
    }
    try {
      const value = env(name).optional().read(environment) ?? fallback
      if (value !== undefined) {
        values.push(value)
        return value
      }
      faults.push({
        at,
        message: `${name} is not set`,
        hint: `Set ${name}, or write \${${name}:-default}.`,
        isWrong: false,
      })
    } catch (error) {
      faults.push({ at, message: messageOf(error), hint: `Correct ${name}_FILE.`, isWrong: false })
    }
    return ''
  })
  return { text, values, faults }
}
