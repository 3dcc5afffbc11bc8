/** Writes to an embedded server in the directory of its argument, then dies without a word. */
import { lastValueFrom } from 'rxjs'
import { openPostgres } from '../contracts/postgres-under-test.js'

const connection = openPostgres('embedded', { dataDirectory: process.argv[2] ?? '' })
await lastValueFrom(connection.query('CREATE TABLE kept AS SELECT 7 AS n'))
process.kill(process.pid, 'SIGKILL')
