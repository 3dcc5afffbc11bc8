import { time } from 'weirflow'
import { z } from 'zod'

/** How long names may be: they are keys of state and of rows. */
const name = z.string().min(1).max(256)
const address = z.string().max(8_192).nullish()

/** One thing that a user did. Fields that are not named here pass through. */
export const Activity = z.looseObject({
  user_id: name,
  activity_type: name,
  /** ISO 8601; without a zone it is UTC. */
  timestamp: time().max(64),
  metadata: z
    .looseObject({
      page_url: address,
      referrer: address,
    })
    .nullish(),
})

export type Activity = z.infer<typeof Activity>
