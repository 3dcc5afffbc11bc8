import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const script = fileURLToPath(new URL('../servers/blob-process.ts', import.meta.url))
const jiti = fileURLToPath(new URL('../../node_modules/jiti/lib/jiti-cli.mjs', import.meta.url))

interface Work {
  readonly store: object
  readonly name: string
  readonly bytes: number
  readonly until?: number
  /** Whom it runs as. */
  readonly uid?: number
}

/** A process of `blob-process.ts`; it ends with its test. */
export class BlobProcess {
  said = ''
  readonly exited: Promise<unknown>
  private readonly child: ChildProcess

  constructor({ store, name, bytes, until, uid }: Work) {
    this.child = spawn(process.execPath, [jiti, script], {
      ...(uid === undefined ? {} : { uid, gid: uid }),
      env: {
        ...process.env,
        STORE: JSON.stringify(store),
        NAME: name,
        BYTES: String(bytes),
        ...(until === undefined ? {} : { UNTIL: String(until) }),
      },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    // Behind all that it has said.
    this.exited = once(this.child, 'close')
    this.child.stdout?.on('data', (text: Buffer) => {
      this.said += text.toString()
    })
    onTestFinished(async () => this.kill())
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
  }
}
