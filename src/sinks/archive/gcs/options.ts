import { z } from 'zod'
import { prefix, storeShape } from '../store-shape.js'

export const gcsOptions = z.strictObject({
  backend: z.literal('gcs'),
  bucket: z.string().min(1).describe('The bucket.'),
  prefix,
  endpoint: z.url().optional().describe('The URL of a store that is not Google’s, which is asked without credentials.'),
  keyFile: z
    .string()
    .optional()
    .describe("The file of a service account's key. Default: as the client finds credentials."),
  ...storeShape,
})

export type GcsOptions = z.output<typeof gcsOptions>
