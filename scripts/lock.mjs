/** One at a time, of all processes that share a file system. */
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const againMs = 100
/** What a system says of a folder that is not empty, and Windows of any. */
const taken = new Set(['ENOTEMPTY', 'EEXIST', 'EPERM', 'EACCES'])

/** Does the work while nobody else has the lock. Who was killed with it does not keep it. */
export async function exclusively(lock, work) {
  while (!take(lock)) await sleep(againMs)
  try {
    return await work()
  } finally {
    release(lock)
  }
}

/** The same for work that others of this process have to wait for too. */
export function exclusivelySync(lock, work) {
  while (!take(lock)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, againMs)
  try {
    return work()
  } finally {
    release(lock)
  }
}

/**
 * Takes the lock for as long as this process lives; false when somebody has it. It is a folder that holds the name of who has
 * it: one that is moved takes the place of an empty folder at most, and a name is removed and no other, so that of several
 * who find a lock left behind nobody ends that of who was quicker.
 */
export function take(lock) {
  const own = mkdtempSync(`${lock}.`)
  try {
    writeFileSync(join(own, nameOf(process.pid)), '')
    renameSync(own, lock)
    return true
  } catch (error) {
    if (!taken.has(error.code)) throw error
    forgetDead(lock)
    return false
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
}

function release(lock) {
  rmSync(join(lock, nameOf(process.pid)), { force: true })
  removeEmpty(lock)
}

function forgetDead(lock) {
  for (const name of namesIn(lock)) if (!isAlive(name)) rmSync(join(lock, name), { force: true })
  removeEmpty(lock)
}

function namesIn(lock) {
  try {
    return readdirSync(lock)
  } catch {
    return []
  }
}

function removeEmpty(lock) {
  try {
    rmdirSync(lock)
  } catch {
    // Somebody has it, or has removed it.
  }
}

/** A process id comes back, so that it says who it was only with when that one began. */
function nameOf(pid) {
  return `${pid}-${beginningOf(pid) ?? ''}`
}

function isAlive(name) {
  const [pid, began] = name.split('-')
  try {
    process.kill(Number(pid), 0)
  } catch (error) {
    if (error.code !== 'EPERM') return false
  }
  const beginning = beginningOf(pid)
  return beginning === undefined || beginning === began
}

/** When a process began, where the system tells: in ticks since the machine did. */
function beginningOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // One that has ended, and that nobody has asked about yet.
    return state === 'Z' ? 'ended' : rest[18]
  } catch {
    return undefined
  }
}
