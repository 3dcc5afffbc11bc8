import { report } from './report.js'

const windowMs = 10_000

interface Activity {
  readonly user_id: string
  readonly activity_type: string
  readonly timestamp: string
}

/** Page views and exact unique users of windows of 10 s, as one counts them by hand. */
export class WindowCounts {
  private readonly windows = new Map<number, { users: Set<string>; views: number }>()
  private began = 0

  /** Time runs from the first record on. */
  begin(): void {
    if (this.began === 0) this.began = performance.now()
  }

  count(json: string): void {
    const { timestamp, user_id, activity_type } = JSON.parse(json) as Activity
    const start = Math.floor(Date.parse(timestamp) / windowMs) * windowMs
    let window = this.windows.get(start)
    if (window === undefined) this.windows.set(start, (window = { users: new Set(), views: 0 }))
    window.users.add(user_id)
    if (activity_type === 'page_view') window.views++
  }

  /** Reports what so many records have become, and how fast. */
  finish(records: number): void {
    const ms = performance.now() - this.began
    const all = [...this.windows.values()]
    const users = all.reduce((sum, window) => sum + window.users.size, 0)
    const views = all.reduce((sum, window) => sum + window.views, 0)
    report({ recordsPerSecond: Math.round((records / ms) * 1_000), windows: all.length, users, views })
  }
}
