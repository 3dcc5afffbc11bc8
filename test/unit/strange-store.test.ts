import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { lastValueFrom, toArray } from 'rxjs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { silentLogger, systemClock } from '../../src/model/index.js'
import { azureFault } from '../../src/sinks/archive/azure/faults.js'
import { openStore, storeOptions } from '../../src/sinks/archive/open-store.js'
import { done, list, write } from '../contracts/blob-stores.contract.js'
import { Authority } from '../support/certificates.js'
import { content } from '../support/content.js'

const html = '<!doctype html><html><body>Welcome</body></html>'
const page: RequestListener = (_, answer) => answer.writeHead(200, { 'content-type': 'text/html' }).end(html)
const nothing: RequestListener = (_, answer) => answer.end()
const saying =
  (status: number, text: string): RequestListener =>
  (_, answer) =>
    answer.writeHead(status, { 'content-type': 'text/plain' }).end(text)

/** Answers as that does, until the test has ended; its port. */
async function server(listener: RequestListener, isSecure = false): Promise<number> {
  const { key, cert } = new Authority().issue()
  const started = isSecure ? createSecureServer({ key, cert }, listener) : createServer(listener)
  onTestFinished(() => {
    started.closeAllConnections()
    started.close()
  })
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve))
  return (started.address() as AddressInfo).port
}

const key = Buffer.from('key').toString('base64')

describe.each<[string, (url: string) => object]>([
  ['S3', (endpoint) => ({ backend: 's3', region: 'r', endpoint, accessKeyId: 'a', secretAccessKey: 'b' })],
  [
    'Azure',
    (url) => ({
      backend: 'azure',
      container: 'events',
      connectionString: `DefaultEndpointsProtocol=http;AccountName=a;AccountKey=${key};BlobEndpoint=${url}/a;`,
    }),
  ],
  ['Google Cloud Storage', (endpoint) => ({ backend: 'gcs', endpoint })],
])('where %s is to be', (_, optionsOf) => {
  function open(url: string) {
    const of = optionsOf(url)
    const options = storeOptions.parse('container' in of ? of : { ...of, bucket: 'events' })
    const store = openStore(options, { clock: systemClock, log: silentLogger, patienceMs: 0 })
    onTestFinished(() => done(store.close()).then(() => undefined))
    return store
  }

  test.each([
    ['a page', page],
    ['nothing', nothing],
  ])('who answers everything with %s has stored nothing, and has no files', async (_, listener) => {
    const url = `http://127.0.0.1:${await server(listener)}`
    const other = { code: 'WEIR_BLOB_REFUSED', hint: expect.stringContaining('correct the endpoint') }
    for (const bytes of [100, 8 * 1_024 * 1_024 + 100])
      await expect(write(open(url), 'a/file', content(bytes))).rejects.toMatchObject(other)
    await expect(list(open(url))).rejects.toMatchObject(other)
  })

  test('who does not know what is asked is told apart from a store', async () => {
    const url = `http://127.0.0.1:${await server(saying(404, '404 page not found'))}`
    const other = { code: 'WEIR_BLOB_REFUSED', hint: expect.stringMatching(/correct .*the endpoint/) }
    await expect(write(open(url), 'a/file', content(10))).rejects.toMatchObject(other)
    await expect(list(open(url))).rejects.toMatchObject(other)
  })

  test('a gateway that has too much to do is asked again', async () => {
    const url = `http://127.0.0.1:${await server(saying(429, 'Too many requests'))}`
    await expect(write(open(url), 'a/file', content(10))).rejects.toMatchObject({ code: 'WEIR_BLOB_UNREACHABLE' })
  })

  test.each<[string, () => Promise<string>, RegExp]>([
    ['nobody listens', async () => `http://127.0.0.1:${await freed()}`, /start the store, or correct the endpoint/],
    ['no host is', () => Promise.resolve('http://nobody.invalid:9000'), /No host has that name/],
    ['no TLS is spoken', async () => `https://127.0.0.1:${await server(page)}`, /write http:\/\//],
    [
      'nobody knows the certificate',
      async () => `https://127.0.0.1:${await server(page, true)}`,
      /NODE_EXTRA_CA_CERTS/,
    ],
  ])('where %s it is told what to do', async (_, url, hint) => {
    const files$ = open(await url())
      .list('')
      .pipe(toArray())
    await expect(lastValueFrom(files$)).rejects.toMatchObject({
      code: 'WEIR_BLOB_UNREACHABLE',
      hint: expect.stringMatching(hint),
    })
  })
})

/** A port where nobody listens any more. */
async function freed(): Promise<number> {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as AddressInfo
  await new Promise((resolve) => other.close(resolve))
  return port
}

test('that no identity is to be had at Azure is for somebody to mend', () => {
  const error = Object.assign(new Error('ChainedTokenCredential authentication failed.'), {
    name: 'AggregateAuthenticationError',
  })
  expect(azureFault('writing', error)).toMatchObject({
    code: 'WEIR_BLOB_REFUSED',
    hint: expect.stringMatching(/identity/),
  })
})
