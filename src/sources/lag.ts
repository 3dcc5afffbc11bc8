import { defer, from } from 'rxjs'
import { z } from 'zod'
import type { KafkaConnection } from '../kafka/connection.js'
import { measureGroups } from '../kafka/measured-groups.js'
import { type Configurable, defineSource, type Source, someTime } from '../model/index.js'
import type { GroupLag } from './lag/group-lag.js'
import { LagTask } from './lag/task.js'

const options = z.strictObject({
  groups: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe(
      'The groups, by name; all that there are if not given. The embedded broker knows only those that are named.',
    ),
  every: someTime.default(30_000).describe('How often they are measured.'),
  connection: z.string().optional().describe('The Kafka connection, where there are several.'),
  name: z
    .string()
    .min(1)
    .optional()
    .describe("Names the stage in graphs, logs and metrics; the source's name if not given."),
})

export const lagSource = defineSource({
  name: 'kafka.lag',
  summary: 'Measures how far consumer groups are behind.',
  connection: 'kafka',
  replayable: true,
  positions: 'store',
  options,
  detail: ({ groups }) => groups?.join(', ') ?? 'all groups',
  build: ({ groups, every, connection: named }, context) => {
    const connection = context.connection<KafkaConnection>('kafka', named)
    const measure$ = defer(() => from(measureGroups(connection, groups)))
    return new LagTask({ groups, everyMs: every }, measure$, context)
  },
})

export type KafkaLagOptions = Configurable<z.input<typeof options>>

/**
 * Measures consumer groups again and again: a record for each group and topic, whose key is `group/topic`, with the time
 * of the measurement. A group is told with or without members, for as long as it has positions; a topic that is gone is
 * told no longer, and neither is a group.
 *
 * What a group has still to read is told by what a reader of committed records would find from its position on: where
 * only the marker of a transaction is left, or nothing after a compaction, it is 0. How late it is is told by the timestamp of
 * the first such record.
 *
 * Where brokers do not answer it is measured again at the next turn, and the flow is not ready meanwhile. An epoch that fails is
 * replayed from memory; a process that starts again goes on with what is then.
 */
export function lag(options: KafkaLagOptions = {}): Source<GroupLag> {
  return lagSource.declare(options)
}
