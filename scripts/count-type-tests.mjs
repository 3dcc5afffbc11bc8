import { writeFileSync } from 'node:fs'

/** A tstyche reporter that leaves the number of passed, failed and skipped tests in the file `WEIR_TEST_COUNTS`. */
export default class CountTypeTests {
  on([event, payload]) {
    if (event !== 'run:end') return
    const { testCounts, fileCounts } = payload.result
    // A file that does not compile fails without a failed test.
    const failed = Math.max(testCounts.failed, fileCounts.failed)
    const skipped = testCounts.skipped + testCounts.todo
    writeFileSync(process.env.WEIR_TEST_COUNTS, JSON.stringify({ passed: testCounts.passed, failed, skipped }))
  }
}
