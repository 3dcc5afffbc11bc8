import cluster, { type Worker } from 'node:cluster'
import { filter, fromEvent, map, Observable, ReplaySubject, takeUntil } from 'rxjs'
import { Crew, type ToSupervisor, type ToWorker } from '../worker/crew.js'
import type { Exit, WorkerProcess } from '../worker/supervisor.js'
import type { OwnWorker, Signal } from './io.js'

const numberVariable = 'WEIR_WORKER'

// Workers take connections by themselves: one that the supervisor was handing to a worker as that died would never end.
cluster.schedulingPolicy = cluster.SCHED_NONE

/** Starts this very command again, as a worker process that shares the port. */
export function startWorker(number: number): WorkerProcess {
  const worker = cluster.fork({ [numberVariable]: String(number) })
  // A write to a process that has just died is told here too; its exit says all.
  worker.on('error', () => undefined)
  const exit$ = fromExit(worker)
  return {
    pid: worker.process.pid,
    send: (message) => {
      if (worker.isConnected()) worker.send(message, () => undefined)
    },
    messages$: messagesOf<ToSupervisor>(worker).pipe(takeUntil(exit$)),
    exit$,
    kill: () => worker.process.kill('SIGKILL'),
  }
}

/** Each comes with a handle that nobody sends. */
function messagesOf<M>(other: Worker | NodeJS.Process): Observable<M> {
  return fromEvent(other, 'message').pipe(map((told) => (Array.isArray(told) ? told[0] : told) as M))
}

function fromExit(worker: Worker): Observable<Exit> {
  return new Observable((subscriber) => {
    const listener = (code: number | null, signal: string | null) => {
      subscriber.next({ code, signal })
      subscriber.complete()
    }
    worker.once('exit', listener)
    return () => worker.off('exit', listener)
  })
}

/** What this process is among several workers, and what tells it to stop; undefined when it is none. */
export function ownWorker():
  | { readonly worker: OwnWorker; readonly signals$: Observable<Signal>; readonly reload$: Observable<unknown> }
  | undefined {
  if (!cluster.isWorker) return undefined
  // Whoever signals the whole group of processes means the supervisor, which tells its workers what to do.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined)
  const messages$ = messagesOf<ToWorker>(process)
  // It may be told to stop before it has begun.
  const signals$ = new ReplaySubject<Signal>(1)
  messages$.pipe(filter(({ kind }) => kind === 'stop')).subscribe(() => signals$.next('SIGTERM'))
  const crew = new Crew({ send: (message: ToSupervisor) => process.send?.(message), messages$ })
  const reload$ = messages$.pipe(filter(({ kind }) => kind === 'reload'))
  return { worker: { number: Number(process.env[numberVariable]), crew }, signals$, reload$ }
}
