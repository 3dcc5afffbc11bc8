/** What a producer has not had acknowledged, by the client's statistics, and for how long that has not become less. */
export class Unsent {
  private statistics = ''
  private count = ''
  private movedAt = performance.now()

  /** The client tells its statistics, as JSON. */
  told(statistics: string): void {
    const [, count = ''] = /"msg_cnt":\s*(\d+)/.exec(statistics) ?? []
    if (count !== this.count) this.moves()
    this.count = count
    this.statistics = statistics
  }

  /** Something was acknowledged; or will be in so many ms, for until then a quota has the brokers take nothing. */
  moves(inMs = 0): void {
    this.movedAt = Math.max(this.movedAt, performance.now() + inMs)
  }

  get restsMs(): number {
    return performance.now() - this.movedAt
  }

  /** The topics that it writes to. Which of them a message waits for that is tried again, the client does not tell. */
  get topics(): readonly string[] {
    const { topics = {} } = JSON.parse(this.statistics || '{}') as { readonly topics?: object }
    return Object.keys(topics)
  }
}
