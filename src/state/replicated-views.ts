import { concat, concatMap, defer, EMPTY, from, ignoreElements, map, type Observable, share, tap } from 'rxjs'
import type {
  TableChannel,
  TableMessage,
  TableMessages,
  ViewClaim,
  ViewContent,
  ViewRow,
  ViewStorage,
  ViewWrite,
} from '../model/index.js'
import type { MemoryViews } from './memory-views.js'
import { pack, unpack } from './packing.js'

/** How many times a part may be written anew under one generation: reigns of the next one are higher. */
const reignsPerGeneration = 1_000_000

type RowKey = [part: string, table: string, key: string]
type PackedRow = [reign: number, value: unknown]
type Marker = [reign: number, sequence: number, at: number, task: string, total: number, generation: number]

/** What has come of a part since its last marker, and that marker where it could not be looked at yet. */
interface Inbox {
  readonly rows: Map<string, ViewRow & { readonly reign: number }>
  readonly removed: Map<string, Pick<ViewRow, 'table' | 'key'>>
  marker: Marker | undefined
}

/** Whose content of a part is shown. */
interface Shown {
  readonly reign: number
  readonly sequence: number
  readonly generation: number
  /** Whether this process wrote it. */
  readonly isOwn: boolean
  /** Whether it is certain that the topic has it. */
  readonly isTold: boolean
}

/**
 * Views in the memory of every replica. What an owner writes of its parts goes into a topic too: the rows, and after them
 * a marker by which they count. Each time that a part is written anew a reign begins, higher than all before; rows of
 * another reign than the marker's are no more. So a crash between a commit and its rows loses nothing.
 */
export class ReplicatedViews implements ViewStorage {
  private readonly topics = new Map<string, TableChannel>()
  private readonly following = new Map<string, Observable<never>>()
  private readonly shown = new Map<string, Shown>()

  constructor(
    private readonly memory: MemoryViews,
    private readonly topicOf: (view: string) => TableChannel,
  ) {}

  expect(view: string, task: string): void {
    this.memory.expect(view, task)
  }

  open(): Observable<never> {
    return EMPTY
  }

  /** What another owner has written the topic may lack, whatever this process shows. */
  claim(claim: ViewClaim): Observable<number | undefined> {
    return this.memory.claim(claim).pipe(
      map(() => {
        const { isTold, generation, sequence } = this.shown.get(nameOf(claim)) ?? {}
        return isTold === true && generation === claim.generation ? sequence : undefined
      }),
    )
  }

  write(write: ViewWrite): Observable<never> {
    const topic = this.topic(write.view)
    const name = nameOf(write)
    return concat(
      this.memory.write(write),
      topic.open(),
      defer(() => {
        const { generation, sequence } = write
        const reign = this.reignOf(write)
        this.shown.set(name, { reign, sequence, generation, isOwn: true, isTold: false })
        for (const message of messagesOf(write, reign)) topic.write(message)
        return concat(
          topic.flush(),
          defer(() => {
            this.shown.set(name, { reign, sequence, generation, isOwn: true, isTold: true })
            return EMPTY
          }),
        )
      }),
    )
  }

  read(view: string, known?: string): Observable<ViewContent> {
    return this.memory.read(view, known)
  }

  /** Takes in what the other replicas write. One reading serves all who subscribe. */
  follow(view: string): Observable<never> {
    let following$ = this.following.get(view)
    if (following$ === undefined) {
      following$ = defer(() => {
        const inboxes = new Map<string, Inbox>()
        return this.topic(view).messages$.pipe(
          tap((some) => this.take(view, inboxes, some)),
          ignoreElements(),
        )
      }).pipe(share())
      this.following.set(view, following$)
    }
    return following$
  }

  close(): Observable<never> {
    return from(this.topics.values()).pipe(concatMap((topic) => topic.close()))
  }

  private topic(view: string): TableChannel {
    let topic = this.topics.get(view)
    if (topic === undefined) this.topics.set(view, (topic = this.topicOf(view)))
    return topic
  }

  private reignOf(write: ViewWrite): number {
    const { reign = -1 } = this.shown.get(nameOf(write)) ?? {}
    return write.replaces ? Math.max(write.generation * reignsPerGeneration, reign + 1) : reign
  }

  /** Before the end was reached once, nothing counts: it would show the past go by. */
  private take(view: string, inboxes: Map<string, Inbox>, { messages, atEnd }: TableMessages): void {
    for (const message of messages) {
      const part = receive(inboxes, message)
      if (atEnd) this.settle(view, part, inboxes.get(part))
    }
    if (atEnd) for (const [part, inbox] of inboxes) this.settle(view, part, inbox)
  }

  private settle(view: string, part: string, inbox: Inbox | undefined): void {
    if (inbox?.marker === undefined) return
    const { marker } = inbox
    const [reign] = marker
    const known = this.shown.get(nameOf({ view, part }))
    if (known === undefined || reign >= known.reign) this.accept(view, part, inbox, marker, known)
    // Rows of mine may be lost behind those that somebody wrote who thought to be the owner: the next claim tells.
    else if (known.isOwn) this.shown.set(nameOf({ view, part }), { ...known, isTold: false })
    inbox.marker = undefined
    inbox.removed.clear()
    for (const [key, row] of inbox.rows) if (row.reign <= reign) inbox.rows.delete(key)
  }

  private accept(view: string, part: string, inbox: Inbox, marker: Marker, known: Shown | undefined): void {
    const [reign, sequence, at, task, total, generation] = marker
    const isSame = reign === known?.reign
    // What this process wrote it shows already, and what is read again it may be beyond.
    if (isSame && (known.isOwn || sequence < known.sequence)) return
    const rows = [...inbox.rows.values()].filter((row) => row.reign === reign)
    const removed = [...inbox.removed.values()]
    this.memory.apply({ view, part, generation, task, total, sequence, replaces: !isSame, rows, removed, at })
    this.shown.set(nameOf({ view, part }), { reign, sequence, generation, isOwn: false, isTold: false })
  }
}

function nameOf({ view, part }: Pick<ViewClaim, 'view' | 'part'>): string {
  return `${view} ${part}`
}

function* messagesOf(write: ViewWrite, reign: number): Generator<TableMessage> {
  const { part, generation, sequence, rows, removed, at, task, total } = write
  const keyOf = (...key: RowKey) => JSON.stringify(key)
  for (const { table, key } of removed) yield { key: keyOf(part, table, key), value: null }
  for (const { table, key, value } of rows) {
    const row: PackedRow = [reign, value]
    yield { key: keyOf(part, table, key), value: pack(row) }
  }
  const marker: Marker = [reign, sequence, at, task, total, generation]
  yield { key: JSON.stringify([part]), value: pack(marker) }
}

/** Puts a message where its part's marker will find it. Returns the part. */
function receive(inboxes: Map<string, Inbox>, { key: packedKey, value }: TableMessage): string {
  const [part, table, key] = JSON.parse(packedKey) as RowKey | [string, undefined, undefined]
  let inbox = inboxes.get(part)
  if (inbox === undefined) {
    inbox = { rows: new Map(), removed: new Map(), marker: undefined }
    inboxes.set(part, inbox)
  }
  if (table === undefined) {
    const marker = value === null ? undefined : (unpack(value) as Marker)
    if (marker !== undefined && marker[0] >= (inbox.marker?.[0] ?? -1)) inbox.marker = marker
  } else if (value === null) {
    inbox.rows.delete(packedKey)
    inbox.removed.set(packedKey, { table, key })
  } else {
    const [reign, content] = unpack(value) as PackedRow
    inbox.removed.delete(packedKey)
    inbox.rows.set(packedKey, { table, key, value: content, reign })
  }
  return part
}
