import { EMPTY, type Observable, of } from 'rxjs'
import type { RegisteredSchema, SchemaRegistry } from '../../src/codecs/schema-registry.js'
import type { OperatorContext } from '../../src/model/index.js'

interface Answers {
  schema?(id: number): Observable<RegisteredSchema>
  id?(subject: string): Observable<number>
}

/** The part of a stage's context that reaches a registry which answers what the test says; without answers, none. */
export function registryOf(answers?: Answers): { context: Partial<OperatorContext> } {
  const registry: Pick<SchemaRegistry, 'isNamed' | 'schema' | 'id'> = {
    isNamed: answers !== undefined,
    schema: answers?.schema ?? (() => EMPTY),
    id: answers?.id ?? (() => of(1)),
  }
  return { context: { connection: () => registry as never } }
}

/** A value in the wire format. */
export function wire(schemaId: number, value: Buffer | object): Buffer {
  const header = Buffer.from([0, 0, 0, 0, 0])
  header.writeUInt32BE(schemaId, 1)
  return Buffer.concat([header, Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value))])
}
