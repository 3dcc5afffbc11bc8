import { z } from 'zod'
import { httpUrl, placeName, prefix, storeShape } from '../store-shape.js'

export const gcsOptions = z.strictObject({
  backend: z.literal('gcs'),
  bucket: placeName('bucket').describe('The bucket.'),
  prefix,
  endpoint: httpUrl.optional().describe('The URL of a store. One that is not Google’s is asked without credentials.'),
  keyFile: z
    .string()
    .optional()
    .describe("The file of a service account's key. Default: as the client finds credentials."),
  ...storeShape,
})

export type GcsOptions = z.output<typeof gcsOptions>
