import { defer, type Observable, of, throwError } from 'rxjs'
import { z } from 'zod'
import { type DeclaredConnection, defineConnection, type Fault, type OperatorContext } from '../../src/model/index.js'
import { Faults, type ReadLimits, type SqlReader, type SqlRow } from '../../src/sql/index.js'

/** What the server of a fake database answers with. */
export class ServerError extends Error {
  constructor(
    message: string,
    readonly fault: Fault,
  ) {
    super(message)
  }
}

interface Asked {
  readonly query: string
  readonly values: readonly unknown[]
  readonly limits: ReadLimits
}

/** Rows, an error, or when they come. */
type Answer = readonly SqlRow[] | Error | Observable<readonly SqlRow[]>

/** A database that answers what the test says. */
export class FakeDatabase implements SqlReader {
  readonly address = 'postgres://db'
  readonly asked: Asked[] = []
  readonly faults = new Faults({
    faultOf: (error) => (error instanceof ServerError ? error.fault : undefined),
    textOf: (error) => (error as Error).message,
    hintOf: () => undefined,
  })

  constructor(public answer: (query: string, values: readonly unknown[]) => Answer) {}

  read(query: string, values: readonly unknown[], limits: ReadLimits): Observable<readonly SqlRow[]> {
    return defer(() => {
      this.asked.push({ query, values, limits })
      const answer = this.answer(query, values)
      if (answer instanceof Error) return throwError(() => answer)
      return Array.isArray(answer) ? of(answer as readonly SqlRow[]) : (answer as Observable<readonly SqlRow[]>)
    })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** The part of a stage's context that reaches it. */
  get context(): { context: Partial<OperatorContext> } {
    return { context: { connection: () => this as never } }
  }

  /** As a configuration declares it. */
  get declared(): DeclaredConnection {
    return defineConnection({ kind: 'postgres', summary: 'A fake.', options: z.object({}), open: () => this })({})
  }
}
