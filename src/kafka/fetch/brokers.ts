import { type ClientError, type ClientSettings, codes } from '../client.js'
import { failureOf } from '../connecting.js'
import { isHopeless } from '../errors.js'
import type { BrokerConnection } from './connection.js'
import { type Address, addressText, type LaneSettings, laneSettings } from './lane-settings.js'
import { Link } from './link.js'
import { type MetadataResponse, type MetadataTopic, metadata } from './protocol/metadata.js'

/** Who leads a partition, and since which change of leaders. */
export interface Leader {
  readonly node: number
  /** -1: the broker doesn't say. */
  readonly epoch: number
}

interface Topic {
  /** Kafka's code, 0: none. */
  readonly error: number
  readonly leaders: ReadonlyMap<number, Leader & { readonly toldAt: number }>
}

const answerMs = 5_000
/** After this it is told that nobody answers; connections go on being made meanwhile, for who asks next. */
const patienceMs = 5_000
/** How long one who is asked has to himself before another one is asked as well, ms. */
const headStartMs = 1_000
/**
 * For so long after it was told a newer epoch counts, ms: who tells an older one has not heard of it. After that the topic was
 * made anew.
 */
const hearsayMs = 5_000

/**
 * The brokers of one cluster: who leads what, as any of them tells it, and a connection to each that is wanted. One that leads
 * to another cluster is given to nobody.
 */
export class Brokers {
  private readonly links = new Map<string, Link>()
  private readonly nodes = new Map<number, Link>()
  private readonly topics = new Map<string, Topic>()
  private seeds: readonly Link[] = []
  private cluster: string | undefined
  private next: { readonly topics: Set<string>; readonly answer: Promise<void> } | undefined
  private asking: Promise<unknown> = Promise.resolve()
  private isClosed = false

  /** `settings` are read for each attempt to connect: certificates get renewed, and passwords changed. */
  constructor(private readonly settings: () => Promise<ClientSettings>) {}

  leaderOf(topic: string, partition: number): Leader | undefined {
    return this.topics.get(topic)?.leaders.get(partition)
  }

  /** What was said against a topic when it was last asked for: Kafka's code, 0 where nothing was. */
  errorOf(topic: string): number {
    return this.topics.get(topic)?.error ?? 0
  }

  /**
   * Asks who leads these topics. Those who ask while a question is on its way share the next one. Errors: `ClientError`, the
   * most telling of them, when no broker answers; `codes.foreignCluster` when one of another cluster does.
   */
  refresh(topics: readonly string[]): Promise<void> {
    this.next ??= { topics: new Set(), answer: this.asking.then(() => this.askNext()) }
    for (const topic of topics) this.next.topics.add(topic)
    return this.next.answer
  }

  /** Errors: as `refresh`, after one attempt; before the next one there is a pause as the settings say. */
  async connectionTo(node: number): Promise<BrokerConnection> {
    const link = this.nodes.get(node)
    if (link === undefined) throw failureOf(`there is no broker ${node} in the cluster`, codes.transport)
    return link.open()
  }

  /** To whichever broker answers first. Errors: as `refresh`. */
  async anyConnection(): Promise<BrokerConnection> {
    await this.refresh([])
    return firstOf([...this.nodes.values()].map((link) => () => link.open()))
  }

  /** At once; what is not answered fails. */
  close(): void {
    this.isClosed = true
    for (const link of this.links.values()) link.close()
  }

  private askNext(): Promise<void> {
    const topics = [...this.next!.topics]
    this.next = undefined
    const answer = this.ask(topics)
    this.asking = answer.catch(() => undefined)
    return answer
  }

  private async ask(topics: readonly string[]): Promise<void> {
    const { brokers } = await this.ofLane()
    this.seeds = brokers.map((address) => this.linkTo(address))
    const all = [...new Set([...this.nodes.values(), ...this.seeds])]
    const links = all.sort((one, other) => one.trouble - other.trouble)
    const asks = links.map((link) => async () => {
      const connection = await link.open()
      return connection.request(metadata, { topics }, answerMs)
    })
    this.learn(await firstOf(asks), topics)
  }

  private async ofLane(): Promise<LaneSettings> {
    const settings = laneSettings(await this.settings())
    if (this.isClosed) throw failureOf('the brokers are asked no more', codes.transport)
    return settings
  }

  private learn({ clusterId, brokers, topics }: MetadataResponse, asked: readonly string[]): void {
    this.judge(clusterId)
    // One that starts may know of none yet.
    if (brokers.length > 0) this.nodes.clear()
    for (const { id, host, port } of brokers) this.nodes.set(id, this.linkTo({ host, port }))
    this.tidy()
    const told = new Map(topics.map((topic) => [topic.topic, topic]))
    for (const topic of asked) {
      const news = told.get(topic)
      if (news !== undefined) this.topics.set(topic, topicOf(news, this.topics.get(topic)))
    }
  }

  /** Errors where it is another cluster than before. */
  private judge(clusterId: string | null): void {
    if (clusterId === null) return
    this.cluster ??= clusterId
    if (clusterId === this.cluster) return
    throw failureOf(`cluster ${clusterId} answers, where ${this.cluster} has until now`, codes.foreignCluster)
  }

  /** Once brokers are known, the address to start from is of no use if it is not one of theirs. */
  private tidy(): void {
    const used = new Set(this.nodes.values())
    for (const [name, link] of this.links) {
      if (used.has(link)) continue
      if (this.seeds.includes(link)) link.close()
      // What is still asked of one that the others no longer name may be answered.
      else if (!link.isOpen) this.links.delete(name)
    }
  }

  private linkTo(address: Address): Link {
    const name = addressText(address)
    const link = this.links.get(name) ?? new Link(address, () => this.ofLane(), this.prove)
    this.links.set(name, link)
    return link
  }

  /** Behind an address there may be another cluster than before, and a position means something else there. */
  private readonly prove = async (connection: BrokerConnection): Promise<void> => {
    this.judge((await connection.request(metadata, { topics: [] }, answerMs)).clusterId)
  }
}

function topicOf({ error, partitions }: MetadataTopic, before: Topic | undefined): Topic {
  const toldAt = performance.now()
  const leaders = new Map<number, Leader & { readonly toldAt: number }>()
  for (const { partition, leader: node, leaderEpoch: epoch } of partitions) {
    const known = before?.leaders.get(partition)
    const isHearsay = known !== undefined && epoch < known.epoch && toldAt - known.toldAt < hearsayMs
    if (isHearsay) leaders.set(partition, known)
    else if (node >= 0) leaders.set(partition, { node, epoch, toldAt })
  }
  return { error, leaders }
}

/** The first that succeeds, each begun when the one before it has failed, or is slow. Errors with the most telling error. */
function firstOf<T>(attempts: readonly (() => Promise<T>)[]): Promise<T> {
  return new Promise((resolve, reject) => {
    const errors: (Error & ClientError)[] = []
    let slow: NodeJS.Timeout | undefined
    let rest = [...attempts]
    const end = () => {
      rest = []
      clearTimeout(slow)
      clearTimeout(late)
    }
    const lost = () => {
      end()
      const nobody = failureOf(`no broker has answered in ${patienceMs} ms`, codes.timedOut)
      reject(errors.find(isHopeless) ?? errors[0] ?? nobody)
    }
    const late = setTimeout(lost, patienceMs)
    const won = (value: T) => {
      end()
      resolve(value)
    }
    const failed = (error: Error & ClientError) => {
      errors.push(error)
      begin()
      if (errors.length === attempts.length) lost()
    }
    const begin = () => {
      clearTimeout(slow)
      const attempt = rest.shift()
      if (attempt === undefined) return
      slow = setTimeout(begin, headStartMs)
      attempt().then(won, failed)
    }
    begin()
  })
}
