import { catchError, concatMap, EMPTY, map, type Observable, type OperatorFunction } from 'rxjs'
import { z } from 'zod'
import type { RegisteredSchema, SchemaRegistry, SchemaType } from '../../codecs/schema-registry.js'
import { schemaIdOf } from '../../codecs/wire-format.js'
import {
  type Configurable,
  isWeirError,
  type OperatorContext,
  type StreamRecord,
  WeirError,
} from '../../model/index.js'
import { type RejectingStage, rejectingStage } from './stage-options.js'

type Operate = OperatorFunction<StreamRecord, StreamRecord>

/** What every stage that decodes by a schema registry can be told. */
export interface DecodeOptions extends RejectingStage {
  /** The schema registry, where there are several. */
  readonly connection?: string
}

/** What every stage that encodes by a schema registry can be told. */
export type EncodeOptions = DecodeOptions &
  Configurable<{
    /** What the schema is registered under: of a topic's values, `<topic>-value`. */
    readonly subject: string
    /** Whether the schema is registered where it is missing; otherwise that stops the flow. Default true. */
    readonly register?: boolean
  }>

export const decodeOptions = {
  connection: z.string().optional().describe('The schema registry, where there are several.'),
  ...rejectingStage,
}

export const encodeOptions = {
  subject: z.string().min(1).describe("What the schema is registered under: of a topic's values, `<topic>-value`."),
  register: z
    .boolean()
    .default(true)
    .describe('Whether the schema is registered where it is missing; otherwise that stops the flow.'),
  ...decodeOptions,
}

export interface Decoding {
  readonly type: SchemaType
  /** Makes what reads the values that one writer's schema wrote. */
  reader(schema: string): (encoded: Buffer) => unknown
  /** Reads values where there is no registry. */
  readonly plain: (encoded: unknown) => unknown
}

/** Decodes values by the schemas that they were written with; each is fetched once, and what follows waits for it. */
export function decoding(format: Decoding, registry: SchemaRegistry, context: OperatorContext): Operate {
  if (!registry.isNamed) return inTurn((record) => [record.with(format.plain(record.value))], context)
  const readers = new Map<number, (encoded: Buffer) => unknown>()
  const fetched = (id: number) =>
    registry.schema(id).pipe(
      map((schema) => {
        const reader = format.reader(schemaOf(schema, format.type, id))
        readers.set(id, reader)
        return reader
      }),
    )
  return inTurn((record) => {
    const id = schemaIdOf(record.value)
    const reader = readers.get(id)
    if (reader !== undefined) return [record.with(reader(record.value as Buffer))]
    return fetched(id).pipe(map((read) => record.with(read(record.value as Buffer))))
  }, context)
}

export interface Encoding {
  readonly type: SchemaType
  readonly schema: string
  writer(schemaId: number): (value: unknown) => Buffer
  /** Writes values where there is no registry. */
  readonly plain: (value: unknown) => Buffer
}

/** Encodes values, headed by the id of their schema, which is asked for at the first of them. */
export function encoding(
  format: Encoding,
  { subject, register }: { subject: string; register: boolean },
  registry: SchemaRegistry,
  context: OperatorContext,
): Operate {
  if (!registry.isNamed) return inTurn((record) => [record.with(format.plain(record.value))], context)
  let write: ((value: unknown) => Buffer) | undefined
  return inTurn((record) => {
    if (write !== undefined) return [record.with(write(record.value))]
    return registry.id(subject, format.type, format.schema, register).pipe(
      map((id) => {
        write = format.writer(id)
        return record.with(write(record.value))
      }),
    )
  }, context)
}

/** Makes of each record what `make` says, one after the other; an error that is not the registry's rejects it. */
export function inTurn(
  make: (record: StreamRecord) => readonly StreamRecord[] | Observable<StreamRecord>,
  context: OperatorContext,
): Operate {
  const settle = (record: StreamRecord, error: unknown): void => {
    if (isWeirError(error) && error.culprit !== 'record') throw error
    context.reject(record, error)
  }
  return concatMap((record) => {
    try {
      const made = make(record)
      if (Array.isArray(made)) return made as StreamRecord[]
      return (made as Observable<StreamRecord>).pipe(
        catchError((error: unknown) => {
          settle(record, error)
          return EMPTY
        }),
      )
    } catch (error) {
      settle(record, error)
      return EMPTY
    }
  })
}

function schemaOf({ type, schema }: RegisteredSchema, expected: SchemaType, id: number): string {
  if (type === expected) return schema
  throw new WeirError('WEIR_RECORD_MALFORMED', `reading schema ${id}: it is of type ${type}, not ${expected}`, {
    hint: 'Decode these values by the stage of that type.',
  })
}
