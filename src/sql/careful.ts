import { WeirError } from '../model/index.js'

/**
 * The tasks whose commit was refused for one of their records, of which it is not known which: they look closer until it is
 * found.
 */
export class CarefulTasks {
  private readonly tasks = new Set<string>()

  has(task: string): boolean {
    return this.tasks.has(task)
  }

  /** The error that ends the try which was refused. The next one looks closer. */
  search(task: string, message: string, hint: string, cause: unknown): WeirError {
    this.tasks.add(task)
    return new WeirError('WEIR_RECORD_REFUSED', message, { hint, atOnce: true, cause })
  }

  found(task: string): void {
    this.tasks.delete(task)
  }
}
