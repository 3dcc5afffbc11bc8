import { setTimeout as sleep } from 'node:timers/promises'
import { RedisServer } from './redis-server.js'
import { freePort } from './server-support.js'

const slots = 16_384

/** Three Redis servers that share the keys among them. */
export class RedisCluster {
  private constructor(readonly nodes: readonly RedisServer[]) {}

  static async start(more: readonly string[] = []): Promise<RedisCluster> {
    const busPorts = [await freePort(), await freePort(), await freePort()]
    const nodes = await Promise.all(
      busPorts.map((port) =>
        RedisServer.start({
          settings: [
            '--cluster-enabled',
            'yes',
            '--cluster-port',
            String(port),
            '--cluster-node-timeout',
            '5000',
            ...more,
          ],
        }),
      ),
    )
    const cluster = new RedisCluster(nodes)
    await cluster.join(busPorts)
    return cluster
  }

  get addresses(): string[] {
    return this.nodes.map(({ port }) => `127.0.0.1:${port}`)
  }

  async close(): Promise<void> {
    for (const node of this.nodes) await node.close()
  }

  private async join(busPorts: readonly number[]): Promise<void> {
    const share = Math.ceil(slots / this.nodes.length)
    for (const [index, node] of this.nodes.entries()) {
      await node.use(async (client) => {
        const last = Math.min(slots, (index + 1) * share) - 1
        await client.call('CLUSTER', 'ADDSLOTSRANGE', index * share, last)
        await client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
      })
    }
    await this.nodes[0]?.use(async (client) => {
      for (const [index, { port }] of this.nodes.entries()) {
        if (index > 0) await client.call('CLUSTER', 'MEET', '127.0.0.1', port, busPorts[index] ?? 0)
      }
    })
    for (const node of this.nodes) while (!(await isWhole(node))) await sleep(20)
  }
}

function isWhole(node: RedisServer): Promise<boolean> {
  return node.use(async (client) => String(await client.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
}
