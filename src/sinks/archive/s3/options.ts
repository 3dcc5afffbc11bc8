import { z } from 'zod'
import { prefix, storeShape } from '../store-shape.js'

export const s3Options = z
  .strictObject({
    backend: z.literal('s3'),
    bucket: z.string().min(1).describe('The bucket.'),
    prefix,
    region: z.string().optional().describe("The region. Default: where the SDK finds one, else 'us-east-1'."),
    endpoint: z.url().optional().describe('The URL of a store that is not Amazon’s.'),
    pathStyle: z
      .boolean()
      .optional()
      .describe('Whether the bucket is in the path of a URL instead of its host. Default: with an `endpoint`.'),
    accessKeyId: z.string().optional().describe("The key. Default: as the SDK's chain of credentials finds it."),
    secretAccessKey: z
      .string()
      .optional()
      .describe('The secret of the key; take it from the environment with `secret()`.'),
    sessionToken: z.string().optional().describe('The token of a key that expires.'),
    ...storeShape,
  })
  .refine(({ accessKeyId, secretAccessKey }) => (accessKeyId === undefined) === (secretAccessKey === undefined), {
    path: ['secretAccessKey'],
    message: 'expected both `accessKeyId` and `secretAccessKey`, or neither',
  })

export type S3Options = z.output<typeof s3Options>
