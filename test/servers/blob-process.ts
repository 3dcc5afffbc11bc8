/**
 * Writes one file to a store, for tests that kill it. STORE are its options, NAME and BYTES the file, UNTIL how many bytes are
 * written before it says so and waits to be killed; without it the process has nothing left to do then, and has to end.
 */
import { concat, lastValueFrom, type Observable } from 'rxjs'
import { describeError, silentLogger, systemClock, WeirError } from '../../src/model/index.js'
import { openStore, storeOptions } from '../../src/sinks/archive/open-store.js'
import { content } from '../support/content.js'

const { STORE = '', NAME = '', BYTES = '0', UNTIL } = process.env

const done = (work$: Observable<unknown>) => lastValueFrom(work$, { defaultValue: undefined })
const store = openStore(storeOptions.parse(JSON.parse(STORE)), { clock: systemClock, log: silentLogger, patienceMs: 0 })
const writer = store.create(NAME)
const bytes = content(Number(BYTES))
try {
  await done(writer.write(bytes.subarray(0, UNTIL === undefined ? bytes.length : Number(UNTIL))))
  process.stdout.write('written\n')
  if (UNTIL !== undefined) await new Promise(() => setInterval(() => undefined, 1_000))
  await done(writer.complete())
  process.stdout.write('complete\n')
} catch (error) {
  process.stdout.write(`${error instanceof WeirError ? error.code : ''} ${describeError(error)}\n`)
} finally {
  await done(concat(writer.abort(), store.close()))
}
