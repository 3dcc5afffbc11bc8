import type { StoreCodec } from '../../model/index.js'

type Level = 'warn' | 'error'

export interface CourseSettings {
  readonly openAfter: number
  readonly resolveAfter: number
  readonly remindEvery?: number | undefined
}

/** What is to be told of an incident. Times in ms. */
export interface Notice {
  readonly status: 'opened' | 'changed' | 'reminded' | 'resolved'
  readonly level: Level
  readonly since: number
  readonly openedAt: number
  readonly at: number
  readonly number: number
  readonly silent: boolean
}

/** What is kept of one, in this order. */
interface Kept {
  level: Level
  /** Since when it is bad, ms. */
  since: number
  /** The time of its last record, ms. */
  heardAt: number
  /** Since when it has been better than its level, ms. */
  betterSince: number | undefined
  /** When it opened, ms; undefined before. */
  openedAt: number | undefined
  /** When it was told last, ms. */
  toldAt: number
  /** How often it was told. */
  notices: number
}

const rank = { ok: 0, warn: 1, error: 2 } as const

/**
 * How something that is bad goes on, by what its records tell.
 *
 *     bad ──openAfter──► open ──► told again, changed ──resolveAfter──► over
 *      └──────────────────── good before it opened ─────────────────────►┘
 */
export class Course {
  /** Whether there is nothing more to keep. */
  isOver = false
  private readonly kept: Kept

  constructor(level: Level, at: number, kept?: Kept) {
    this.kept = kept ?? {
      level,
      since: at,
      heardAt: at,
      betterSince: undefined,
      openedAt: undefined,
      toldAt: at,
      notices: 0,
    }
  }

  static of(kept: Kept): Course {
    return new Course(kept.level, kept.since, kept)
  }

  get heardAt(): number {
    return this.kept.heardAt
  }

  get isOpen(): boolean {
    return this.kept.openedAt !== undefined
  }

  /** Takes in what a record of this time tells; undefined is nothing. Returns what is to be told, if anything is. */
  take(level: 'ok' | Level | undefined, time: number, settings: CourseSettings): Notice | undefined {
    const { kept } = this
    // What comes late tells of now.
    const at = Math.max(time, kept.heardAt)
    kept.heardAt = at
    if (level === undefined) return undefined
    if (kept.openedAt === undefined) return this.waiting(level, at, settings)
    if (rank[level] < rank[kept.level]) kept.betterSince ??= at
    else kept.betterSince = undefined
    const isUp = rank[level] > rank[kept.level]
    const isDown = kept.betterSince !== undefined && at - kept.betterSince >= settings.resolveAfter
    if (isUp || isDown) return this.changed(level, at)
    const isDue = settings.remindEvery !== undefined && at - kept.toldAt >= settings.remindEvery
    return isDue && level !== 'ok' ? this.told('reminded', at) : undefined
  }

  /** Nothing more is heard of it. */
  end(at: number): Notice | undefined {
    this.isOver = true
    return this.kept.openedAt === undefined ? undefined : this.told('resolved', at, true)
  }

  save(): unknown {
    const { level, since, heardAt, betterSince, openedAt, toldAt, notices } = this.kept
    return [level, since, heardAt, betterSince ?? null, openedAt ?? null, toldAt, notices]
  }

  private waiting(level: 'ok' | Level, at: number, { openAfter }: CourseSettings): Notice | undefined {
    const { kept } = this
    if (level === 'ok') {
      this.isOver = true
      return undefined
    }
    kept.level = level
    if (at - kept.since < openAfter) return undefined
    kept.openedAt = at
    return this.told('opened', at)
  }

  private changed(level: 'ok' | Level, at: number): Notice {
    const { kept } = this
    kept.betterSince = undefined
    if (level === 'ok') {
      this.isOver = true
      return this.told('resolved', at)
    }
    kept.level = level
    return this.told('changed', at)
  }

  private told(status: Notice['status'], at: number, silent = false): Notice {
    const { kept } = this
    kept.toldAt = at
    kept.notices++
    const { level, since, openedAt = at, notices } = kept
    return { status, level, since, openedAt, at, number: notices, silent }
  }
}

type Saved = [Level, number, number, number | null, number | null, number, number]

export const courseCodec: StoreCodec<Course> = {
  version: 1,
  save: (course) => course.save(),
  load(saved) {
    const [level, since, heardAt, betterSince, openedAt, toldAt, notices] = saved as Saved
    return Course.of({
      level,
      since,
      heardAt,
      betterSince: betterSince ?? undefined,
      openedAt: openedAt ?? undefined,
      toldAt,
      notices,
    })
  },
}
