import { z } from 'zod'
import { duration, someTime } from '../model/index.js'

/** The options of a flow, as whoever writes JavaScript, or casts types away, may give them. */
export const flowOptions = z.strictObject({
  epoch: z
    .strictObject({
      maxRecords: z.int().min(1).optional(),
      maxBytes: z.int().min(1).optional(),
      every: someTime.optional(),
      linger: duration.optional(),
    })
    .optional(),
  attempts: z.int().min(1).optional(),
  deadLetters: z
    .string()
    .regex(
      /^[A-Za-z0-9._-]{1,240}$/,
      "expected a name that a topic can have: letters of ASCII, digits, '.', '_' and '-', at most 240",
    )
    .optional(),
  checkpoints: z.string().optional(),
  givesUp: z.array(z.string()).optional(),
  guarantee: z
    .literal('exactly-once', "expected 'exactly-once', or none: then each stage's own guarantee holds")
    .optional(),
})
