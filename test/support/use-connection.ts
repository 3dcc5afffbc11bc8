import { firstValueFrom, type Observable } from 'rxjs'
import { onTestFinished } from 'vitest'
import { type Connection, type DeclaredConnection, silentLogger, systemClock } from '../../src/model/index.js'

interface Runs extends Connection {
  run(work: (client: never) => Promise<unknown>): Observable<unknown>
}

/** Uses a connection once. Returns why that failed; undefined when it did not. */
export async function failureOf({ definition, options }: DeclaredConnection): Promise<unknown> {
  const context = { app: 'a', name: 'c', clock: systemClock, log: silentLogger, production: false, dataDirectory: '.' }
  const connection = definition.open(definition.options.parse(options), context) as Runs
  onTestFinished(() => connection.close())
  const work = (client: { query?(text: string): unknown; ping?(): unknown }) =>
    Promise.resolve(client.query?.('SELECT 1') ?? client.ping?.())
  return firstValueFrom(connection.run(work as never)).then(
    () => undefined,
    (error: unknown) => error,
  )
}
