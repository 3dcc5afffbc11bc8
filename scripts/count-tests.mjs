import { writeFileSync } from 'node:fs'

/** A vitest reporter that leaves the number of passed, failed and skipped tests in the file `WEIR_TEST_COUNTS`. */
export default class CountTests {
  onTestRunEnd(modules, unhandledErrors) {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    for (const module of modules) {
      for (const test of module.children.allTests()) count[test.result().state] += 1
      // A file or a suite that failed outside of its tests: it could not be loaded, or a hook threw.
      const suites = [module, ...module.children.allSuites()]
      count.failed += suites.filter((suite) => suite.errors().length > 0).length
    }
    const { passed, failed, skipped } = count
    writeFileSync(process.env.WEIR_TEST_COUNTS, JSON.stringify({ passed, failed, skipped }))
  }
}
