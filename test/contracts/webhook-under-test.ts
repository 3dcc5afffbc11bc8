import { map } from 'rxjs'
import type { Connection } from '../../src/model/index.js'
import { webhookSink } from '../../src/sinks/webhook.js'
import { MemoryCheckpoints } from '../../src/state/index.js'
import { TcpProxy } from '../servers/tcp-proxy.js'
import { cut, Receiver } from '../support/receiver.js'
import { SinkHarness } from './sink-harness.js'
import { type HinderedSink, type Item, oddItems, type SinkWithOutages, type TriedSink } from './sinks.contract.js'

/** JSON leaves out what it has no form for, or says null. */
const kept = ['half of a surrogate pair', 'a function', 'a symbol', 'no date']
const odd = Object.fromEntries(Object.entries(oddItems).filter(([name]) => !kept.includes(name)))

/** A receiver of webhooks that refuses some items, behind a way that can be held up. */
export async function webhookUnderTest(): Promise<TriedSink & HinderedSink & SinkWithOutages> {
  const receiver = await Receiver.start()
  const refuses = ({ text }: Item) => text === 'refused'
  const itemsIn = (body: string) => [JSON.parse(body) as Item | Item[]].flat()
  const listen = () =>
    receiver.always((response, { body }) => {
      response.writeHead(itemsIn(body).some(refuses) ? 422 : 200).end()
    })
  const proxy = await TcpProxy.start(receiver.port)
  const body = ({ id, text }: Item) => ({ id, text })
  const given = { body, url: `http://127.0.0.1:${proxy.port}/items`, timeout: 1_000, retries: 2, concurrency: 16 }
  const harness = new SinkHarness({
    definition: webhookSink,
    connection: none,
    checkpoints: new MemoryCheckpoints(),
    options: given,
    joins: false,
  })
  await harness.open()
  return {
    reset: () => {
      harness.rejecting.forget()
      receiver.reset()
      listen()
      return Promise.resolve()
    },
    // All have one key in the contract, and would follow each other.
    epoch: (records$) => harness.epoch(records$.pipe(map((record) => record.keyed(null)))),
    written: () => Promise.resolve(takenFrom(receiver, (body) => itemsIn(body), refuses)),
    rejecting: harness.rejecting,
    rejected: harness.rejected,
    bad: { id: -1, text: 'refused' },
    odd,
    way: proxy,
    outage: { begin: () => Promise.resolve(receiver.always(cut)), end: () => Promise.resolve(listen()) },
    close: async () => {
      await proxy.close()
      await receiver.close()
    },
  }
}

const none: Connection = { address: 'none', close: () => Promise.resolve() }

/** What a receiver has that goes by `webhook-id`, as it is to; the contract has many records at one place. */
function takenFrom(receiver: Receiver, itemsIn: (body: string) => Item[], refuses: (item: Item) => boolean): Item[] {
  const byId = new Map(receiver.received.map(({ headers, body }) => [`${String(headers['webhook-id'])} ${body}`, body]))
  return [...byId.values()]
    .map(itemsIn)
    .filter((items) => !items.some(refuses))
    .flat()
}
