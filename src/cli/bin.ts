import { fromEvent, map, merge, takeUntil, tap } from 'rxjs'
import { ownWorker, startWorker } from './cluster.js'
import { exitCodes, type Signal } from './io.js'
import { main } from './main.js'
import { orphaned, ownAncestry } from './parent.js'

const signals: readonly Signal[] = ['SIGTERM', 'SIGINT']
const on = (signal: Signal) => fromEvent(process, signal).pipe(map(() => signal))

// Whatever is written, by whichever library, is for this user alone.
process.umask(0o077)
// What started this process may have taken the terminal with it; the flows drain all the same.
for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined)

const told$ = merge(...signals.map(on))
const alone$ = orphaned(ownAncestry).pipe(
  tap(() => process.stderr.write('what started this process has ended, and so it stops\n')),
  map((): Signal => 'SIGTERM'),
  // Told twice, it would not drain.
  takeUntil(told$),
)
const own = ownWorker()
const code = await main(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  signals$: own?.signals$ ?? merge(told$, alone$),
  worker: own?.worker,
  startWorker,
})

// Native clients may hold the process; what was written to a pipe has to leave first.
process.stdout.write('', () => process.stderr.write('', () => leave(code)))

/**
 * An exit waits for the threads of native clients, and those may wait for this one: so after a second signal the process
 * dies of the signal, which a shell reports as the same code. Only process 1 of a container survives that.
 */
function leave(code: number): void {
  const signal = signals.find((each) => exitCodes[each] === code)
  if (signal !== undefined) {
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  }
  process.exit(code)
}
