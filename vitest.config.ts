import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path: string) => fileURLToPath(new URL(`src/${path}`, import.meta.url))

// As `bin/weir.js` says: the processes of the tests have what the command has.
process.env['UV_THREADPOOL_SIZE'] ??= '32'

export default defineConfig({
  resolve: {
    alias: [
      { find: /^weirflow$/, replacement: source('index.ts') },
      { find: /^weirflow\/testing$/, replacement: source('testing/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: process.env['WEIR_TEST_ANNOUNCE'] === undefined ? [] : ['test/support/announce.ts'],
    // The native Kafka client can not be loaded in a worker thread.
    pool: 'forks',
    // Tests of servers wait most of the time, so that two files at once keep two cores busy, and more would only wait for
    // each other.
    maxWorkers: 2,
    maxConcurrency: 10,
    // Nothing waits for so long that holds: a busy machine needs several times what an idle one does.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 90_000 } },
    coverage: { provider: 'v8', include: ['src/**'] },
  },
})
