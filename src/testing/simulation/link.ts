import { Observable } from 'rxjs'
import type { WeirError } from '../../model/index.js'
import type { Actor, World } from './world.js'

/** How it goes between processes and one server. */
export interface Weather {
  /** The longest that a message usually takes one way, ms. */
  latencyMs: number
  /** How likely a request or its answer is lost, or comes when nobody waits for it any more. */
  loss: number
  /** How likely a request is carried out twice. */
  repeats: number
  /** Nothing gets through. */
  isDown: boolean
}

const fair: Readonly<Weather> = { latencyMs: 3, loss: 0, repeats: 0, isDown: false }

/** After how long without an answer a client gives a request up, ms. */
const patienceMs = 5_000

/** A request as its server sees it. */
export interface Request<T> {
  readonly what: string
  /** Carries it out; what it throws is the answer. */
  readonly execute: () => T
  /** The error of a client that got no answer. */
  readonly unanswered: (why: string) => WeirError
  /** Whether it may be carried out twice. */
  readonly repeatable?: boolean
}

type Fate = 'answered' | 'refused' | 'request lost' | 'answer lost' | 'late'

/** The way to one server: what is sent may be slow, lost, late or doubled, and so may be what comes back. */
export class Link {
  readonly weather: Weather = { ...fair }

  constructor(
    private readonly world: World,
    readonly name: string,
    /** Whether a process can be cut off from this server. */
    private readonly isolates = false,
  ) {}

  clear(): void {
    Object.assign(this.weather, fair)
  }

  /** Sends a request. What has been sent is carried out even if its sender has gone. */
  request<T>(from: Actor, request: Request<T>): Observable<T> {
    return new Observable<T>((subscriber) => {
      const fate = this.reaches(from) ? this.fate() : 'refused'
      const fail = (why: string) => subscriber.error(request.unanswered(why))
      if (fate === 'refused') {
        from.note(`${request.what}: refused`)
        subscriber.add(from.after(this.latency(), () => fail(`${this.name} is away`)))
        return
      }
      subscriber.add(from.after(patienceMs, () => fail(`${this.name} did not answer in ${patienceMs} ms`)))
      if (fate === 'request lost') return from.note(`${request.what}: lost`)
      const answer = (give: () => void) => {
        if (fate === 'answered') subscriber.add(from.after(this.latency(), give))
        else this.world.note(this.name, `${request.what} of ${from.name}: answer ${fate === 'late' ? 'late' : 'lost'}`)
      }
      this.world.servers.after(this.latency() + (fate === 'late' ? this.lateness() : 0), () =>
        this.carryOut(from, request, {
          next: (result) =>
            answer(() => {
              subscriber.next(result)
              subscriber.complete()
            }),
          error: (error) => answer(() => subscriber.error(error)),
        }),
      )
    })
  }

  reaches(from: Actor): boolean {
    return !this.weather.isDown && !(this.isolates && from.isIsolated)
  }

  latency(): number {
    return this.world.random.between(0, this.weather.latencyMs)
  }

  private carryOut<T>(
    from: Actor,
    { what, execute, repeatable = false }: Request<T>,
    answer: { next: (result: T) => void; error: (error: unknown) => void },
  ): void {
    const times = repeatable && this.world.random.chance(this.weather.repeats) ? 2 : 1
    try {
      let result = execute()
      this.world.note(this.name, `${what} of ${from.name}`)
      if (times === 2) {
        this.world.note(this.name, `${what} of ${from.name}, again`)
        result = execute()
      }
      answer.next(result)
    } catch (error) {
      if (!isAnswer(error)) throw error
      this.world.note(this.name, `${what} of ${from.name}: ${error.message}`)
      answer.error(error)
    }
  }

  private fate(): Fate {
    const { random } = this.world
    if (!random.chance(this.weather.loss)) return 'answered'
    return random.pick<Fate>(['refused', 'request lost', 'answer lost', 'late'])
  }

  /** Late is about when the client gives up, before or after. */
  private lateness(): number {
    return this.world.random.between(patienceMs - 500, patienceMs + 3_000)
  }
}

function isAnswer(error: unknown): error is WeirError {
  return error instanceof Error && 'remedy' in error
}
