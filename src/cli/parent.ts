import { readFileSync } from 'node:fs'
import { filter, interval, map, NEVER, type Observable, take } from 'rxjs'

const everyMs = 1_000
const shells = /^(sh|dash|bash|ash|busybox)$/

/** What there is to know of the processes above this one. */
export interface Ancestry {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The process that started this one, as of now. */
  parent(): number
  /** The name of a process and what started it; undefined when it is gone, or the system does not tell. */
  about(pid: number): { readonly name: string; readonly parent: number } | undefined
}

/**
 * Emits once when npm, npx or the like, which had started this process, is gone: it does not pass every signal on, and who
 * ended it meant the worker. Only there: what a shell or a supervisor starts may well outlive it.
 */
export function orphaned(ancestry: Ancestry): Observable<void> {
  const { env, parent, about } = ancestry
  if (env['npm_lifecycle_event'] === undefined && env['npm_command'] === undefined) return NEVER
  const own = parent()
  const shell = about(own)
  // npm starts scripts by a shell, which may stay in between, and stays when npm has gone.
  const beyond = shell !== undefined && shells.test(shell.name) ? shell.parent : undefined
  if (own <= 1) return NEVER
  return interval(everyMs).pipe(
    filter(() => parent() !== own || (beyond !== undefined && beyond > 1 && about(own)?.parent !== beyond)),
    take(1),
    map(() => undefined),
  )
}

/** The ancestry of this very process. */
export const ownAncestry: Ancestry = {
  env: process.env,
  parent: () => process.ppid,
  about: (pid) => {
    try {
      // "pid (name) state parent …"; a name may have anything in it.
      const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const end = text.lastIndexOf(')')
      return { name: text.slice(text.indexOf('(') + 1, end), parent: Number(text.slice(end + 2).split(' ')[1]) }
    } catch {
      return undefined
    }
  },
}
