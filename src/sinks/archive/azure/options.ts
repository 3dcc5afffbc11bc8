import { z } from 'zod'
import { httpUrl, placeName, prefix, storeShape } from '../store-shape.js'

export const azureOptions = z
  .strictObject({
    backend: z.literal('azure'),
    container: placeName('container').describe('The container.'),
    prefix,
    connectionString: z
      .string()
      .refine(isConnectionString, {
        error:
          'expected a connection string as the portal shows it: DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…;EndpointSuffix=core.windows.net',
      })
      .optional()
      .describe('Of the storage account, with its key or a signature; take it from the environment with `secret()`.'),
    url: httpUrl
      .refine((url) => !isOfContainer(url), { error: 'expected the URL of the blob service, without the container' })
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

/** By what the SDK looks for, which it tells of only when it is asked for something. */
function isConnectionString(text: string): boolean {
  const has = (...names: readonly string[]) => names.every((name) => new RegExp(`(^|;)\\s*${name}=[^;]`).test(text))
  return (
    has('UseDevelopmentStorage') ||
    (has('DefaultEndpointsProtocol', 'AccountName', 'AccountKey') && (has('EndpointSuffix') || has('BlobEndpoint'))) ||
    has('BlobEndpoint', 'SharedAccessSignature')
  )
}

/** At Azure itself nothing stands behind the host of an account. */
function isOfContainer(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { hostname, pathname } = new URL(url)
  return /\.blob\.core\./.test(hostname) && pathname !== '/'
}

export type AzureOptions = z.output<typeof azureOptions>
