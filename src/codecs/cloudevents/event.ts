export type Extension = string | number | boolean

/** An event of CloudEvents 1.0, as plain data. What an event does not have is not there. */
export interface CloudEvent<D = unknown> {
  readonly id: string
  /** A URI-reference. */
  readonly source: string
  readonly specversion: '1.0'
  readonly type: string
  readonly subject?: string
  /** RFC 3339, as the event has it: never made up, never rounded. */
  readonly time?: string
  readonly datacontenttype?: string
  /** An absolute URI. */
  readonly dataschema?: string
  /** Integers have 32 bits; those of headers are text, for what they were there is not told. */
  readonly extensions: Readonly<Record<string, Extension>>
  readonly data?: D
}

/** An event to write. */
export type CloudEventInput<D = unknown> = Omit<CloudEvent<D>, 'specversion' | 'extensions'> &
  Partial<Pick<CloudEvent, 'specversion' | 'extensions'>>

/**
 * Data as it came: where `datacontenttype` says JSON, or nothing at all, text is the JSON as it was written; where it says
 * something else, text is that text. What is neither JSON nor text is bytes.
 */
export type RawData = string | Buffer
