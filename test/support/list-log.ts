import type { Logger } from '../../src/model/index.js'

/** Keeps what is logged, as `warn: text`. */
export function listLog(): Logger & { readonly lines: string[] } {
  const lines: string[] = []
  const write = (level: string) => (fields: object | string, message?: string) =>
    void lines.push(`${level}: ${typeof fields === 'string' ? fields : message}`)
  const log = {
    lines,
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: () => log,
  }
  return log
}
