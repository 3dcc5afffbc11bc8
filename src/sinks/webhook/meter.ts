import type { MetricReading, StageMetric } from '../../model/index.js'

const answers = ['2xx', '3xx', '4xx', '429', '5xx', 'none'] as const
export type AnswerKind = (typeof answers)[number]

const requests = {
  name: 'webhook_requests_total',
  help: 'Requests by what they were answered with; those that are tried again count each time.',
  kind: 'counter',
  labels: { answer: answers },
} as const satisfies StageMetric

export const webhookMetrics: readonly StageMetric[] = [requests]

/** Counts the answers of a receiver. */
export class Meter {
  private readonly counts = new Map<AnswerKind, number>()

  /** @param status Undefined where none came. */
  answered(status: number | undefined): void {
    const kind = kindOf(status)
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
  }

  readings(): readonly MetricReading[] {
    return answers.map((answer) => ({ metric: requests, labels: { answer }, value: this.counts.get(answer) ?? 0 }))
  }
}

function kindOf(status: number | undefined): AnswerKind {
  if (status === undefined) return 'none'
  if (status === 429) return '429'
  if (status >= 500) return '5xx'
  if (status >= 400) return '4xx'
  return status >= 300 ? '3xx' : '2xx'
}
