import { z } from 'zod'
import { prefix, storeShape } from '../store-shape.js'

export const azureOptions = z
  .strictObject({
    backend: z.literal('azure'),
    container: z.string().min(1).describe('The container.'),
    prefix,
    connectionString: z
      .string()
      .optional()
      .describe('Of the storage account, with its key or a signature; take it from the environment with `secret()`.'),
    url: z
      .url()
      .optional()
      .describe(
        'Of the blob service, in place of a connection string: https://account.blob.core.windows.net. A signature may follow; without one the package `@azure/identity` finds credentials.',
      ),
    ...storeShape,
  })
  .refine(({ connectionString, url }) => (connectionString === undefined) !== (url === undefined), {
    path: ['connectionString'],
    message: 'expected either `connectionString` or `url`',
  })

export type AzureOptions = z.output<typeof azureOptions>
