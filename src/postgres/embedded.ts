import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { PGlite } from '@electric-sql/pglite'
import type { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import type { ClientConfig } from 'pg'
import { WeirError } from '../model/index.js'

/**
 * PGlite behind a socket of its own, kept on disk. It has a single session: its socket server interleaves the messages
 * of several clients one by one, so that one client's statement can end up in another's hands. There must be one
 * client at a time; a few more are let in only because a lost one takes a moment to be noticed.
 */
export class EmbeddedServer {
  private constructor(
    private readonly database: PGlite,
    private readonly server: PGLiteSocketServer,
    private readonly lock: DirectoryLock,
  ) {}

  /** Errors: WEIR_CONFIG_INVALID when another process has the directory. */
  static async start(directory: string): Promise<EmbeddedServer> {
    // What is kept here is for nobody else to read.
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await chmod(directory, 0o700)
    const lock = await DirectoryLock.take(directory)
    try {
      // Large, and needed by nobody who has a server.
      const [{ PGlite }, { PGLiteSocketServer }] = await Promise.all([
        import('@electric-sql/pglite'),
        import('@electric-sql/pglite-socket'),
      ])
      const database = await PGlite.create(join(directory, 'data'))
      const server = new PGLiteSocketServer({ db: database, host: '127.0.0.1', port: 0, maxConnections: 4 })
      await server.start()
      return new EmbeddedServer(database, server, lock)
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  get client(): ClientConfig {
    const [host, port] = this.server.getServerConn().split(':')
    return { host: host ?? '', port: Number(port), user: 'postgres', database: 'postgres', ssl: false }
  }

  async close(): Promise<void> {
    await this.server.stop()
    await this.database.close()
    await this.lock.release()
  }
}

/**
 * Keeps a second process out of a directory that PGlite would let it destroy. The lock is a port that somebody listens
 * on: unlike a file, it is gone when its process is.
 */
class DirectoryLock {
  private constructor(
    private readonly guard: Server,
    private readonly file: string,
  ) {}

  static async take(directory: string): Promise<DirectoryLock> {
    const file = join(directory, 'lock')
    const guard = await listening()
    const { port } = guard.address() as AddressInfo
    try {
      await DirectoryLock.write(file, port, directory)
    } catch (error) {
      guard.close()
      throw error
    }
    return new DirectoryLock(guard, file)
  }

  private static async write(file: string, port: number, directory: string): Promise<void> {
    const holder = Number(await readFile(file, 'utf8').catch(() => '0'))
    if (holder > 0 && holder !== port && (await isListening(holder))) {
      throw new WeirError('WEIR_CONFIG_INVALID', `starting the embedded Postgres: another process uses ${directory}`, {
        hint: 'Stop that process, or give this one a database server or a data directory of its own.',
      })
    }
    if (holder > 0) await rm(file, { force: true })
    await writeFile(file, String(port), { flag: 'wx', mode: 0o600 })
  }

  async release(): Promise<void> {
    await rm(this.file, { force: true })
    await new Promise((resolve) => this.guard.close(resolve))
  }
}

function listening(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.unref()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
