import { expect, test } from 'vitest'
import { Job, until, type Worker } from '../support/job.js'
import { describeJob } from '../support/job-servers.js'
import { Traffic } from '../support/job-traffic.js'
import { settle } from '../support/job-truth.js'

describeJob('several workers of one command', (servers) => {
  test('share the work; one that is killed comes back, and each event is counted once', async () => {
    const job = await Job.create(servers, { WEIR_WORKERS: '2', WEIR_INSTANCE_ID: 'the-job', LOG_LEVEL: 'debug' })
    const workers = await job.started()
    const traffic = new Traffic(workers.url, { seed: 71, callers: 6 })
    const taken = () => traffic.account.count('acknowledged')
    const more = async (events: number) => {
      const before = taken()
      await until(() => taken() > before + events, `${events} more events are taken`)
    }
    await until(() => readers(workers).size === 2, 'both read')
    await more(250)

    const victim = processOf(workers, 2)
    process.kill(victim, 'SIGKILL')
    await until(() => processOf(workers, 2) !== victim, 'it is started again')
    await workers.ready()
    await more(250)

    const account = await traffic.stop()
    const { expected } = await settle(job, account)
    expect(account.count('acknowledged')).toBeGreaterThan(500)
    expect(expected.length).toBeGreaterThan(3)
    const health = JSON.parse((await workers.get('/health')).text)
    expect(health).toMatchObject({ status: 'ok', reasons: [], workers: [{ worker: 1 }, { worker: 2 }] })
    const running = { flow: 'activity-ingest', state: 'running' }
    await expect.poll(() => workers.metric('weir_flow_state', running)).toBe(2)
    expect(new Set(workers.log.filter(({ flow }) => flow).map(({ worker }) => worker))).toEqual(new Set([1, 2]))

    expect(await workers.stop()).toBe(0)
    expect(await job.rows()).toEqual(expected)
  })
})

/** The workers that have committed what they read; the internal topic has one partition, so one reads no more than events. */
function readers({ log }: Worker): Set<number | undefined> {
  const commits = log.filter(
    ({ flow, msg, records = 0 }) => flow === 'activity-metrics' && msg === 'committed' && records > 0,
  )
  return new Set(commits.map(({ worker }) => worker))
}

/** The process that the supervisor started last as that worker. */
function processOf({ log }: Worker, number: number): number {
  return log.filter(({ worker, pid }) => worker === number && pid !== undefined).at(-1)?.pid as number
}
