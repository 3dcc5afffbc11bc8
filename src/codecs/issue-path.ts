import type { StandardSchemaV1 } from '@standard-schema/spec'

/** The field that an issue is about, as `metadata.page_url`; empty for the value as a whole. */
export function issuePath({ path = [] }: StandardSchemaV1.Issue): string {
  return path.map((step) => String(typeof step === 'object' ? step.key : step)).join('.')
}
