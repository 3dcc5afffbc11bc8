import { env, type StreamRecord } from 'weirflow'

/** What the pipeline knows of an event, whatever else that has; its schema may ask for more. */
export interface PipelineEvent {
  readonly eventId?: string | number | null
  readonly event_id?: string | number | null
  readonly eventType?: string | null
  readonly event_type?: string | null
  readonly userId?: string | number | null
  readonly user_id?: string | number | null
  /** ISO 8601, without a zone in UTC; or ms since 1970. */
  readonly timestamp?: string | number | null
  /** Of the schema that it was written by. */
  readonly schemaVersion?: string | number | null
  readonly schema_version?: string | number | null
  readonly correlationId?: string | null
  readonly correlation_id?: string | null
}

/** Types of events that have a schema. */
export const eventTypes = ['user_signup', 'user_login', 'user_logout', 'purchase', 'page_view']

/** Makes the schema of the pipeline's tables. `CREATE SCHEMA IF NOT EXISTS` asks for the right to make one even where it is there. */
export const pipelineSchema = `
  do $$ begin
    if to_regnamespace('pipeline') is null then create schema pipeline; end if;
  end $$;`

export const pipelineTopic = env('EVENTS_TOPIC').default('events')

/** The schema that an event was written by, `2` or `v2`; undefined where it says none. */
export const versionOf = (event: PipelineEvent) => event?.schemaVersion ?? event?.schema_version ?? undefined

/** What events are keyed by: those of a user stay in order. One of nobody may lie in any partition. */
export function userKey(event: PipelineEvent): string | null {
  const user = event.userId ?? event.user_id ?? null
  return user === null ? null : String(user)
}

/** The text that an event came as; undefined where its source did not read text. */
export function textOf({ origin: { value } }: Pick<StreamRecord, 'origin'>): string | undefined {
  if (!Buffer.isBuffer(value) && typeof value !== 'string') return undefined
  const text = value.toString()
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
}
