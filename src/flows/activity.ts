import { z } from 'zod'

/** One thing that a user did. Fields that are not named here pass through. */
export const Activity = z.looseObject({
  user_id: z.string().min(1),
  activity_type: z.string().min(1),
  /** ISO 8601; without a zone it is UTC. */
  timestamp: z.iso.datetime({ offset: true, local: true }),
  metadata: z
    .looseObject({
      page_url: z.string().nullish(),
      referrer: z.string().nullish(),
    })
    .nullish(),
})

export type Activity = z.infer<typeof Activity>
