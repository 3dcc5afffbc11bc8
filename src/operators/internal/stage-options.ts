import { z } from 'zod'
import { type ErrorPolicy, errorPolicy } from '../../model/index.js'

/** What every operator can be told besides its own options. */
export interface NamedStage {
  /** Names the stage in graphs, logs and metrics. Default: the operator's name. */
  readonly name?: string
}

/** What every operator that can reject a record can be told. */
export interface RejectingStage extends NamedStage {
  /** What becomes of a record that the stage can't take. */
  readonly onError?: ErrorPolicy
}

export const namedStage = {
  name: z
    .string()
    .min(1)
    .optional()
    .describe("Names the stage in graphs, logs and metrics; the operator's name if not given."),
}

export const rejectingStage = {
  ...namedStage,
  onError: errorPolicy
    .optional()
    .describe(
      'What becomes of a record that the stage can not take: `fail`, `dead-letter`, `skip` or `retry({ tiers })`.',
    ),
}
