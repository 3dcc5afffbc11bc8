import { Observable } from 'rxjs'
import type { ArchiveRow, FileEncoder } from './file-format.js'

/** One row in so many is timed. A prime: those that end a page or a row group, which take longest, come in round numbers. */
const every = 61

/**
 * How long rows take to become bytes, reckoned from some of them: to ask for the time before and after each would cost as much
 * as a column does. What compresses runs beside, and is not in it.
 */
export class EncodingTime {
  seconds = 0
  private left = every

  add(encoder: FileEncoder, row: ArchiveRow): void {
    if (--this.left > 0) return encoder.add(row)
    this.left = every
    const began = performance.now()
    encoder.add(row)
    this.took(began, every)
  }

  end(encoder: FileEncoder): Observable<Uint8Array> {
    return new Observable((output) => {
      const began = performance.now()
      const ending = encoder.end().subscribe(output)
      this.took(began, 1)
      return ending
    })
  }

  private took(began: number, times: number): void {
    this.seconds += ((performance.now() - began) * times) / 1_000
  }
}
