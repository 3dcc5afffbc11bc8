import { type Clock, WeirError } from '../model/index.js'
import type { TopicAdmin, TopicRequest } from './admin.js'
import type { ClientError } from './client.js'
import { isRefusedTopic } from './faults.js'

/** How long it is believed that there is no such topic, ms. */
const absentMs = 30_000
/** Records may name any number of topics. */
const mostKnown = 10_000

/** What is known of a topic: it is there, or why no record can be written to it. */
type Verdict = 'there' | WeirError

/** The topics that records name. Each is looked up, and made where that is allowed, before anything is written to it. */
export class NamedTopics {
  private readonly known = new Map<string, { readonly verdict: Verdict; readonly until: number }>()

  constructor(
    private readonly topics: Pick<TopicAdmin, 'ensure'>,
    private readonly request: Omit<TopicRequest, 'topic'>,
    private readonly clock: Pick<Clock, 'scheduler'>,
  ) {}

  /** Undefined when it has to be found out. */
  verdict(topic: string): Verdict | undefined {
    const known = this.known.get(topic)
    return known !== undefined && known.until > this.clock.scheduler.now() ? known.verdict : undefined
  }

  /** Errors with what is the system's fault. */
  async find(topic: string): Promise<void> {
    if (this.known.size >= mostKnown) this.known.clear()
    const doing = `${this.request.doing}, '${topic}'`
    try {
      await this.topics.ensure({ ...this.request, topic, doing })
      this.known.set(topic, { verdict: 'there', until: Number.POSITIVE_INFINITY })
    } catch (error) {
      if (!isOfRecord(error)) throw error
      const { message, hint = '' } = error
      const verdict = new WeirError('WEIR_RECORD_REFUSED', message, { ...this.request.place, hint, cause: error })
      this.known.set(topic, { verdict, until: this.clock.scheduler.now() + absentMs })
    }
  }

  /** One of them is gone. */
  clear(): void {
    this.known.clear()
  }
}

/** Whether it is the name that is at fault: no such topic that may be made, or one that the brokers refuse. */
function isOfRecord(error: unknown): error is WeirError {
  if (!(error instanceof WeirError)) return false
  return error.code === 'WEIR_CONFIG_INVALID' || isRefusedTopic((error.cause ?? error) as ClientError)
}
