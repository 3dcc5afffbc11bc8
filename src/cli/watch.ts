import { statSync } from 'node:fs'
import { basename, dirname, extname, join, relative, sep } from 'node:path'
import { watch } from 'chokidar'
import { debounceTime, defer, filter, finalize, ignoreElements, merge, Observable, tap } from 'rxjs'

/** What a configuration is made of, by how its name ends: what flows write themselves is no news. */
const kinds = new Set('.ts .mts .cts .js .mjs .cjs .json .yaml .yml .avsc .avdl .proto .sql .pem .crt .key'.split(' '))
/** An editor writes several files, or one several times. */
const quietMs = 100
/** Times of files are those of the last tick. */
const tickMs = 20

/**
 * Emits when something is saved that a configuration may be made of: what lies beside it and in folders there, hidden ones
 * and those of packages left out, and the modules that it has elsewhere, now and later.
 *
 * @param since When the configuration was loaded, ms: what was saved by the time that watching begins is told as well.
 */
export function saved(config: string, since: number, modules$: Observable<readonly string[]>): Observable<string> {
  const directory = dirname(config)
  const isLeftOut = (path: string) =>
    relative(directory, path)
      .split(sep)
      .some((name) => name === 'node_modules' || (/^\.[^.]/.test(name) && !isDotenv(name)))
  return defer(() => {
    const watcher = watch(directory, { ignoreInitial: true, ignorePermissionErrors: true, ignored: isLeftOut })
    const changed$ = new Observable<string>((subscriber) => {
      // A file that is put in the place of another comes as a change, or as one that goes and one that comes.
      watcher.on('all', (_, path) => subscriber.next(path))
      watcher.on('ready', () => {
        const all = Object.entries(watcher.getWatched()).flatMap(([folder, names]) =>
          names.map((name) => join(folder, name)),
        )
        for (const path of all.filter((one) => changedAt(one) > since - tickMs)) subscriber.next(path)
      })
      watcher.on('error', (error) => subscriber.error(error))
    })
    const added$ = modules$.pipe(
      tap((modules) => watcher.add([...modules])),
      ignoreElements(),
    )
    return merge(changed$, added$).pipe(finalize(() => void watcher.close()))
  }).pipe(
    filter((path) => kinds.has(extname(path)) || isDotenv(basename(path))),
    debounceTime(quietMs),
  )
}

/** When it was written, or put where it is, ms. */
function changedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.ctimeMs ?? 0
}

function isDotenv(name: string): boolean {
  return name.startsWith('.env')
}
