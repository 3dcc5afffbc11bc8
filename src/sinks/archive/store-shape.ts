import { z } from 'zod'
import { clientDuration } from '../../model/index.js'

/** What every store may be told. */
export const storeShape = {
  requestTimeout: clientDuration
    .refine((ms) => ms >= 1, "expected '1ms' or more")
    .default(60_000)
    .describe('How long one request may take (a part of a file has up to 8 MiB); then it is given up and tried again.'),
}

/** What the stores that are not on this machine have in common. */
export const prefix = z
  .string()
  .regex(/^([^/]+(\/[^/]+)*)?$/, 'expected folders such as `archive/events`, with no / at either end')
  .default('')
  .describe('The folder that the files go to.')

/** `localhost:9000` is a URL as well, of the scheme `localhost`. */
export const httpUrl = z.url({
  protocol: /^https?$/,
  error: 'expected a URL that begins with https:// or http://, such as `http://localhost:9000`',
})

/** What is called a bucket or a container, and nothing else. */
export const placeName = (word: string, more = /(?!)/) =>
  z
    .string()
    .min(1)
    .refine((name) => more.test(name) || !/[/:\s]/.test(name), {
      error: `expected the name of a ${word} alone, such as \`events\`: without a scheme, and with its folders in \`prefix\``,
    })

/** What a store is called: `s3://bucket/prefix`. */
export function addressBelow(root: string, prefix: string): string {
  return prefix === '' ? root : `${root}/${prefix}`
}

/** A part of a file, in bytes. Google wants multiples of 256 KiB, S3 5 MiB at least, and no more than 10,000. */
export const partBytes = 8 * 1_024 * 1_024

/** How many files are listed by one request: as many as S3 lists. */
export const pageItems = 1_000
