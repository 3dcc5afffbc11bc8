import { fromEvent, map, merge } from 'rxjs'
import type { Signal } from './io.js'
import { main } from './main.js'

const on = (signal: Signal) => fromEvent(process, signal).pipe(map(() => signal))

const code = await main(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  signals$: merge(on('SIGTERM'), on('SIGINT')),
})

// Native clients may hold the process; what was written to a pipe has to leave first.
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
