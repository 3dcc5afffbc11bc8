import { z } from 'zod'
import { httpUrl, placeName, prefix, storeShape } from '../store-shape.js'

export const s3Options = z
  .strictObject({
    backend: z.literal('s3'),
    // An access point has an ARN in place of a name.
    bucket: placeName('bucket', /^arn:/).describe('The bucket.'),
    prefix,
    region: z.string().optional().describe("The region. Default: where the SDK finds one, else 'us-east-1'."),
    endpoint: httpUrl.optional().describe('The URL of a store that is not Amazon’s.'),
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
  .refine(({ bucket, endpoint = '' }) => !URL.canParse(endpoint) || !isOf(bucket, new URL(endpoint)), {
    path: ['endpoint'],
    message: 'expected the URL of the store, without the bucket',
  })
  .refine(({ accessKeyId, secretAccessKey }) => (accessKeyId === undefined) === (secretAccessKey === undefined), {
    path: ['secretAccessKey'],
    message: 'expected both `accessKeyId` and `secretAccessKey`, or neither',
  })

/** Whether a URL is one of the bucket, and not of the store. */
function isOf(bucket: string, { hostname, pathname }: URL): boolean {
  return hostname.startsWith(`${bucket}.s3`) || pathname.replace(/\/$/, '') === `/${bucket}`
}

export type S3Options = z.output<typeof s3Options>
