import { closeSync, openSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { defer, filter, finalize, fromEvent, map, merge, tap } from 'rxjs'
import { ownWorker, startWorker } from './cluster.js'
import { exitCodes, type Signal } from './io.js'
import { main } from './main.js'
import { orphaned, ownAncestry } from './parent.js'

const signals: readonly Signal[] = ['SIGTERM', 'SIGINT']
const on = <S extends NodeJS.Signals>(signal: S) => fromEvent(process, signal).pipe(map(() => signal))

// Whatever is written, by whichever library, is for this user alone.
process.umask(0o077)
// What started this process may have taken the terminal with it; the flows drain all the same.
for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined)

const told$ = merge(...signals.map(on))
// These come when a terminal is closed or a parent ends, several times and beside a signal: they are one order to drain.
let isTold = false
// Where none has closed, a hangup is the order to reload, for a command that can.
const hadTerminal = hasTerminal()
const hasClosed = () => process.platform === 'win32' || (hadTerminal && !hasTerminal())
let isReloading = false
const reload$ = defer(() => {
  isReloading = true
  return on('SIGHUP').pipe(filter(() => !hasClosed()))
}).pipe(finalize(() => (isReloading = false)))
const left$ = merge(
  on('SIGHUP').pipe(
    filter(() => !isReloading || hasClosed()),
    map(() => 'its terminal has closed'),
  ),
  orphaned(ownAncestry).pipe(map(() => 'what started this process has ended')),
).pipe(
  filter(() => !isTold),
  tap((why) => process.stderr.write(`${why}, and so it stops\n`)),
  map((): Signal => 'SIGTERM'),
)
const own = ownWorker()
const code = await main(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  signals$: own?.signals$ ?? merge(told$, left$).pipe(tap(() => (isTold = true))),
  reload$: own?.reload$ ?? reload$,
  ask: process.stdin.isTTY ? ask : undefined,
  worker: own?.worker,
  startWorker,
})

// Native clients may hold the process; what was written to a pipe has to leave first.
process.stdout.write('', () => process.stderr.write('', () => leave(code)))

/** Whether there is a terminal that could close. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}

/** Who interrupts it, or closes the terminal, answers nothing. */
function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  return new Promise((resolve) => {
    terminal.once('close', () => resolve(''))
    terminal.once('SIGINT', () => terminal.close())
    terminal.question(question, (answer) => {
      resolve(answer)
      terminal.close()
    })
  })
}

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
