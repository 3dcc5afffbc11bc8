import { z } from 'zod'
import { storeShape } from '../store-shape.js'

export const fileOptions = z.strictObject({
  backend: z.literal('file'),
  path: z.string().min(1).describe('The folder that the files go to; it is made when it is not there.'),
  ...storeShape,
})

export type FileOptions = z.output<typeof fileOptions>
