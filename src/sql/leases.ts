import type { Faults } from './faults.js'

/** A client of a pool while somebody has it. */
export interface Lease<Client> {
  readonly client: Client
  /** Gives the client back, or throws it away with its connection. */
  release(fate: 'keep' | 'destroy'): void
}

/** The clients of a pool that are at work. */
export class Leases<Client> {
  private readonly taken = new Set<Lease<Client>>()

  constructor(
    private readonly faults: Faults,
    private readonly open: () => Promise<Lease<Client>>,
  ) {}

  async take(): Promise<Lease<Client>> {
    const opened = await this.open()
    const lease: Lease<Client> = {
      client: opened.client,
      release: (fate) => {
        if (this.taken.delete(lease)) opened.release(fate)
      },
    }
    this.taken.add(lease)
    return lease
  }

  /** Runs work with a client of its own, which is thrown away when the work has left it of no use. */
  async use<T>(
    work: (client: Client) => Promise<T>,
    spends = (error: unknown) => this.faults.of(error) === 'connection',
  ): Promise<T> {
    const lease = await this.take()
    try {
      const result = await work(lease.client)
      lease.release('keep')
      return result
    } catch (error) {
      lease.release(spends(error) ? 'destroy' : 'keep')
      throw error
    }
  }

  destroy(): void {
    for (const lease of this.taken) lease.release('destroy')
  }
}
