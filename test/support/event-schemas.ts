import { type Observable, of } from 'rxjs'
import { compiled, type EventVersion } from '../../src/codecs/event-schemas/compiled.js'
import type { EventSchemas } from '../../src/codecs/event-schemas/event-schemas.js'
import type { JsonSchema } from '../../src/codecs/json-schema/document.js'
import type { OperatorContext } from '../../src/model/index.js'

/** Versions of an event type, from 1 on. */
export function versions(...schemas: readonly JsonSchema[]): readonly EventVersion[] {
  return schemas.map((schema, index) =>
    compiled({
      eventType: 'signup',
      version: index + 1,
      type: 'JSON',
      text: JSON.stringify(schema),
      references: new Map(),
    }),
  )
}

/** The part of a stage's context that reaches schemas which answer what the test says, or know it at once. */
export function schemasOf(
  known: Readonly<Record<string, readonly EventVersion[]>>,
  ask?: (eventType: string) => Observable<readonly EventVersion[]>,
): { context: Partial<OperatorContext> } {
  const schemas: Pick<EventSchemas, 'known' | 'versions'> = {
    known: (eventType) => (Object.hasOwn(known, eventType) ? known[eventType] : undefined),
    versions: ask ?? ((eventType) => of(known[eventType] ?? [])),
  }
  return { context: { connection: () => schemas as never } }
}
