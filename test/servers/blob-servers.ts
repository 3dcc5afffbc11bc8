import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Installation, installOnce, missingInstallation } from './install-once.js'
import { ServerProcess } from './server-process.js'
import { freePort } from './server-support.js'

/** Built as small and as fast as can be: nobody debugs them. */
const goEnvironment = (folder: string) => ({ GOBIN: folder, GOFLAGS: '-trimpath -ldflags=-w', CGO_ENABLED: '0' })

const versitygw: Installation = {
  name: 'versitygw',
  version: 'v1.8.0',
  command: ['go', 'install', 'github.com/versity/versitygw/cmd/versitygw@v1.8.0'],
  environment: goEnvironment,
}

const fakeGcs: Installation = {
  name: 'fake-gcs-server',
  version: 'v1.56.1',
  command: ['go', 'install', 'github.com/fsouza/fake-gcs-server@v1.56.1'],
  environment: goEnvironment,
}

const azurite: Installation = {
  name: 'azurite',
  version: '3.35.0',
  command: ['npm', 'install', '--prefix=.', '--ignore-scripts', '--no-audit', '--no-fund', 'azurite@3.35.0'],
}

const installations = [versitygw, fakeGcs, azurite]

/** How long it may take until all three are there that never were, ms. */
export const installMs = 1_200_000

/**
 * Why one of the stores' servers can't be had here; undefined when all can. Errors instead where they are required. Begins to
 * install those that are not there, all at once: it takes minutes, and who needs one waits for it.
 */
export async function missingBlobServers(): Promise<string | undefined> {
  const reasons = await Promise.all(installations.map(missingInstallation))
  const missing = reasons.find((reason) => reason !== undefined)
  if (missing === undefined) for (const one of installations) installOnce(one).catch(() => undefined)
  return missing
}

/** A server with a store of its own, on a loopback port that stays the same over restarts. */
export class BlobServer {
  private constructor(
    private readonly process: ServerProcess,
    readonly port: number,
    private command: readonly [program: string, ...args: string[]],
  ) {}

  static async s3({ accessKeyId, secretAccessKey, bucket }: typeof s3Account): Promise<BlobServer> {
    const folder = await installOnce(versitygw)
    return BlobServer.start('versitygw', (port, directory) => {
      mkdirSync(join(directory, 'data', bucket), { recursive: true })
      const login = ['--access', accessKeyId, '--secret', secretAccessKey]
      const where = ['--port', `127.0.0.1:${port}`, '--keep-alive', '--quiet']
      return [join(folder, 'versitygw'), ...where, ...login, 'posix', join(directory, 'data')]
    })
  }

  static async gcs(): Promise<BlobServer> {
    const folder = await installOnce(fakeGcs)
    return BlobServer.start('fake-gcs-server', (port) => {
      // On a file system it would take no long names.
      const where = ['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port), '-backend', 'memory']
      return [join(folder, 'fake-gcs-server'), ...where]
    })
  }

  static async azure(): Promise<BlobServer> {
    const folder = await installOnce(azurite)
    return BlobServer.start('azurite', (port, directory) => {
      const where = ['--blobHost', '127.0.0.1', '--blobPort', String(port), '--location', join(directory, 'data')]
      const how = ['--skipApiVersionCheck', '--disableTelemetry', '--silent', '--loose']
      const known = `AZURITE_ACCOUNTS=${azureAccount.name}:${azureAccount.key}`
      return ['env', known, 'node', join(folder, 'node_modules/azurite/dist/src/blob/main.js'), ...where, ...how]
    })
  }

  private static async start(
    name: string,
    commandOf: (port: number, directory: string) => readonly [string, ...string[]],
  ): Promise<BlobServer> {
    const directory = mkdtempSync(join(tmpdir(), `weir-${name}-`))
    const port = await freePort()
    const server = new BlobServer(new ServerProcess({ directory }), port, commandOf(port, directory))
    await server.start()
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get directory(): string {
    return this.process.directory
  }

  async start(): Promise<void> {
    const [program, ...args] = this.command
    // That there is an answer, be it a no.
    if (await this.process.start(program, args, () => fetch(this.url).then((answer) => answer.arrayBuffer()))) return
    throw new Error(`starting ${program}:\n${this.process.said}`)
  }

  kill(): Promise<void> {
    return this.process.end('SIGKILL')
  }

  /** Goes on with another key in the place of that one. */
  async renew(key: string, next: string): Promise<void> {
    await this.kill()
    const [program, ...args] = this.command
    this.command = [program, ...args.map((arg) => arg.replace(key, next))]
    await this.start()
  }

  /** Stops it for good and removes its files. */
  async close(): Promise<void> {
    await this.kill()
    this.process.remove()
  }
}

export const s3Account = { accessKeyId: 'weir', secretAccessKey: 'a-secret-of-tests', bucket: 'archive' }

/** The account that azurite begins with, and its key, which it tells everybody. */
export const azureAccount = {
  name: 'devstoreaccount1',
  key: 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
}
