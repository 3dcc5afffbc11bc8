import { randomUUID } from 'node:crypto'
import { defer, EMPTY, type Observable, of } from 'rxjs'
import {
  putRow,
  refusedError,
  type ViewClaim,
  type ViewContent,
  type ViewStorage,
  type ViewWrite,
} from '../model/index.js'

interface Part {
  readonly claim: ViewClaim
  /** Undefined before its first write. */
  readonly sequence: number | undefined
  /** Its keys, by table. */
  readonly keys: Map<string, Set<string>>
}

interface View {
  /** The tasks that make it. */
  readonly tasks: Set<string>
  readonly parts: Map<string, Part>
  readonly tables: Map<string, Map<string, unknown>>
  /** What was written since it was read, and is not in the tables yet; undefined while nobody reads. */
  pending: Pending[] | undefined
  pendingRows: number
  version: number
  at: number
}

/** A write, and the keys of its part. */
type Pending = Pick<ViewWrite, 'replaces' | 'rows' | 'removed'> & Pick<Part, 'keys'>

/** How many rows may wait for who reads the view; after that they go into the tables under his eyes. */
const mostPending = 100_000

/**
 * Views in the memory of this process: whole once every task that makes one has shown each of its parts. Tables stay as they
 * were read until they are read again, so that all answers that are made of them meanwhile are of the same commits.
 */
export class MemoryViews implements ViewStorage {
  private readonly views = new Map<string, View>()
  /** Tells the content of this process apart from that of one before. */
  private readonly life = randomUUID()

  expect(view: string, task: string): void {
    this.view(view).tasks.add(task)
  }

  open(): Observable<never> {
    return EMPTY
  }

  claim(claim: ViewClaim): Observable<number | undefined> {
    return defer(() => {
      const { parts, tasks } = this.view(claim.view)
      const known = parts.get(claim.part)
      tasks.add(claim.task)
      parts.set(claim.part, { claim, sequence: known?.sequence, keys: known?.keys ?? new Map<string, Set<string>>() })
      return of(known?.sequence)
    })
  }

  write(write: ViewWrite): Observable<never> {
    return defer(() => {
      const { claim } = this.view(write.view).parts.get(write.part) ?? {}
      if (claim?.generation !== write.generation) throw refusedError(write, claim?.generation)
      this.apply(write)
      return EMPTY
    })
  }

  read(name: string, known?: string): Observable<ViewContent> {
    return defer(() => {
      const view = this.view(name)
      const isWhole = isComplete(view)
      const tag = `${this.life}.${view.version}.${isWhole}`
      if (tag === known) return EMPTY
      for (const write of view.pending ?? []) put(view, write)
      view.pending = []
      view.pendingRows = 0
      return of({ tag, at: view.at, isWhole, tables: view.tables })
    })
  }

  /** The part as it was claimed, and the sequence of its last write. */
  partOf({ view, part }: Pick<ViewClaim, 'view' | 'part'>): Pick<Part, 'claim' | 'sequence'> | undefined {
    return this.view(view).parts.get(part)
  }

  /** Takes a write in, whoever has claimed the part. */
  apply(write: ViewWrite): void {
    const { view: name, part, generation, task, total, sequence, replaces, rows, removed, at } = write
    const view = this.view(name)
    const keys = view.parts.get(part)?.keys ?? new Map<string, Set<string>>()
    take(view, { replaces, rows, removed, keys })
    view.tasks.add(task)
    view.parts.set(part, { claim: { view: name, part, generation, task, total }, sequence, keys })
    view.version++
    view.at = Math.max(view.at, at)
  }

  private view(name: string): View {
    const made = { tasks: new Set<string>(), parts: new Map(), tables: new Map(), version: 0, at: 0 }
    return inner(this.views, name, () => ({ ...made, pending: undefined, pendingRows: 0 }))
  }
}

function take(view: View, write: Pending): void {
  const { pending } = view
  if (pending === undefined) return put(view, write)
  pending.push(write)
  view.pendingRows += write.rows.length + write.removed.length
  if (view.pendingRows <= mostPending) return
  view.pending = undefined
  for (const each of pending) put(view, each)
}

function put(view: View, { replaces, rows, removed, keys }: Pending): void {
  if (replaces) drop(view, keys)
  for (const { table, key } of removed) remove(view, keys, table, key)
  for (const row of rows) {
    putRow(view.tables, row)
    inner(keys, row.table, () => new Set<string>()).add(row.key)
  }
}

function isComplete({ tasks, parts }: View): boolean {
  const all = [...parts.values()]
  return tasks.size > 0 && [...tasks].every((task) => isShown(all.filter(({ claim }) => claim.task === task)))
}

function isShown(parts: readonly Part[]): boolean {
  const written = parts.filter(({ sequence }) => sequence !== undefined)
  return written.length > 0 && written.length >= Math.max(...parts.map(({ claim }) => claim.total))
}

function drop(view: View, keys: Map<string, Set<string>>): void {
  for (const [table, all] of keys) for (const key of all) view.tables.get(table)?.delete(key)
  keys.clear()
}

function remove(view: View, keys: Map<string, Set<string>>, table: string, key: string): void {
  if (keys.get(table)?.delete(key)) view.tables.get(table)?.delete(key)
}

function inner<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}
