import { catchError, concat, EMPTY, type Observable } from 'rxjs'
import {
  type Connection,
  type ConnectionContext,
  type Logger,
  messageOf,
  type TableChannel,
  type ViewStorage,
  WeirError,
} from '../model/index.js'
import { MemoryViews, ReplicatedViews } from '../state/index.js'
import type { SinkNode, SubTopology, TopologyConnection } from './topology.js'

interface Connections {
  readonly declared: (name: string) => TopologyConnection | undefined
  readonly connection: (name: string) => Connection
  readonly context: (name: string) => ConnectionContext
}

/** Where the views of this process are kept: by connections, or in memory, and there by every replica. */
export class ViewPlaces {
  private readonly memory = new MemoryViews()
  private readonly kept = new Map<string, ViewStorage>()
  private readonly replicated = new Map<string, ReplicatedViews>()

  constructor(
    private readonly log: Logger,
    private readonly connections: Connections,
  ) {}

  /** What keeps the views of a sink. Errors: WEIR_CONFIG_CONNECTION when its connection can't. */
  of({ connection }: SinkNode, part: SubTopology): ViewStorage {
    return connection === undefined ? this.inMemory(part) : this.keptBy(connection)
  }

  close(): Observable<never> {
    return concat(...[...this.replicated.keys()].map((carrier) => this.leave(carrier)))
  }

  /** Has nothing to do with a connection any more. */
  leave(connection: string): Observable<never> {
    const views = this.replicated.get(connection)
    this.replicated.delete(connection)
    this.kept.delete(connection)
    return (views?.close() ?? EMPTY).pipe(
      catchError((error: unknown) => {
        this.log.warn(`closing views: ${messageOf(error)}`)
        return EMPTY
      }),
    )
  }

  private keptBy(name: string): ViewStorage {
    const known = this.kept.get(name)
    if (known !== undefined) return known
    const { views } = this.connections.declared(name)?.definition ?? {}
    const storage = views?.(this.connections.connection(name), this.connections.context(name))
    if (storage === undefined) throw new WeirError('WEIR_CONFIG_CONNECTION', `opening views: '${name}' can't keep them`)
    this.kept.set(name, storage)
    return storage
  }

  /** Replicas share what they read, so what carries that carries what they show of it, too. */
  private inMemory({ inputs }: SubTopology): ViewStorage {
    const carrier = inputs.map(({ source }) => source.connection).find((name) => this.carries(name))
    if (carrier === undefined) return this.memory
    let views = this.replicated.get(carrier)
    if (views === undefined) {
      views = new ReplicatedViews(this.memory, (view) => this.topic(carrier, view) as TableChannel)
      this.replicated.set(carrier, views)
    }
    return views
  }

  private carries(name: string | undefined): name is string {
    return name !== undefined && this.topic(name, '') !== undefined
  }

  /** `<app>.<path>.view`. */
  private topic(connection: string, view: string): TableChannel | undefined {
    const { channel } = this.connections.declared(connection)?.definition ?? {}
    const topic = `${view.replace(/[^\w.-]+/g, '.')}.view`
    return channel?.table?.(this.connections.connection(connection), { topic, place: {}, log: this.log })
  }
}
