/** How far each value of a page is there. Mostly all are, and so they are only counted until one differs. */
export class Levels {
  private count = 0
  private first = 0
  private list: number[] | undefined

  add(level: number): void {
    if (this.list !== undefined) {
      this.list.push(level)
    } else if (this.count === 0 || level === this.first) {
      this.first = level
      this.count++
    } else {
      this.list = this.all
      this.list.push(level)
    }
  }

  get all(): number[] {
    return this.list ?? new Array<number>(this.count).fill(this.first)
  }
}
