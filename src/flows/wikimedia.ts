import { env, time } from 'weirflow'
import { z } from 'zod'

/** One change of a page, as the recentchange stream of Wikimedia has it: what is read of it, the rest stays in. */
export const Change = z.looseObject({
  meta: z.looseObject({
    domain: z.string().min(1).max(256).describe('The site, such as en.wikipedia.org.'),
    dt: time().max(64).optional().catch(undefined).describe('When the event was made, ISO 8601.'),
  }),
  user: z.string().max(512).optional().catch(undefined),
  bot: z.boolean().optional().catch(undefined),
})

export type Change = z.infer<typeof Change>

export const changesTopic = env('WIKIPEDIA_TOPIC').default('wikipedia.changes')
