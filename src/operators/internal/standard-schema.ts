import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'

export const standardSchema = z.custom<StandardSchemaV1>(
  (value) => typeof (value as StandardSchemaV1 | undefined)?.['~standard']?.validate === 'function',
  'expected a zod schema or another Standard Schema',
)
