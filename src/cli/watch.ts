import { basename, dirname, extname, relative, sep } from 'node:path'
import { watch } from 'chokidar'
import { debounceTime, Observable } from 'rxjs'

/** What a configuration is made of, by how its name ends: what flows write themselves is no news. */
const kinds = new Set('.ts .mts .cts .js .mjs .cjs .json .yaml .yml .avsc .avdl .proto .sql .pem .crt .key'.split(' '))
/** An editor writes several files, or one several times. */
const quietMs = 100

/**
 * Emits when something is saved that a configuration may be made of: what lies beside it and in folders there, hidden ones
 * and those of packages left out, and the modules that it has elsewhere.
 */
export function saved(config: string, modules: readonly string[]): Observable<string> {
  const directory = dirname(config)
  const isLeftOut = (path: string) =>
    relative(directory, path)
      .split(sep)
      .some((name) => name === 'node_modules' || (/^\.[^.]/.test(name) && !isDotenv(name)))
  return new Observable<string>((subscriber) => {
    const watcher = watch([directory, ...modules], { ignoreInitial: true, ignored: isLeftOut })
    // A file that is put in the place of another comes as a change, or as one that goes and one that comes.
    watcher.on('all', (_, path) => {
      if (kinds.has(extname(path)) || isDotenv(basename(path))) subscriber.next(path)
    })
    watcher.on('error', (error) => subscriber.error(error))
    return () => void watcher.close()
  }).pipe(debounceTime(quietMs))
}

function isDotenv(name: string): boolean {
  return name.startsWith('.env')
}
