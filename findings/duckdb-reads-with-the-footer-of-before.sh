#!/usr/bin/env bash
# @duckdb/node-api 1.5.6-r.1: a Parquet file that is replaced, at once, by another of the same name and size is read with
# what was remembered of the first one: its rows are wrong, or can't be read, within one connection.
#
# What tells the two apart is the time of their change, in whole seconds. Files of an archive should therefore have a name
# that nothing else ever had.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --no-audit --no-fund @duckdb/node-api@1.5.6-r.1
cat > seen.mjs <<'JS'
import { copyFileSync, readFileSync } from 'node:fs'
import { DuckDBInstance } from '@duckdb/node-api'

const connection = await (await DuckDBInstance.create(':memory:')).connect()
const query = async (sql) => (await connection.runAndReadAll(sql)).getRowObjectsJson()
// Two files of one size: the same texts, in columns that have changed places.
const [short, long] = ["'a' || n", "repeat('b', 50) || n"]
const write = (name, x, y) =>
  query(`copy (select ${x} as x, ${y} as y from range(100) t(n)) to '${name}' (format parquet, compression uncompressed)`)
await write('one.parquet', short, long)
await write('two.parquet', long, short)
const sizes = ['one.parquet', 'two.parquet'].map((name) => readFileSync(name).length)
const read = async (name) => {
  try {
    return JSON.stringify(await query(`select min(x) as x, max(y) as y, sum(length(x) + length(y))::int as bytes from '${name}'`))
  } catch (error) {
    return `an error: ${error.message.slice(0, 60)}`
  }
}
const right = await read('two.parquet')
/** How often of ten a file is read wrongly that took the place of another, so long after that was written. */
async function wrong(afterMs) {
  let count = 0
  await Promise.all(
    Array.from({ length: 10 }, async (_, round) => {
      const name = `${afterMs}-${round}.parquet`
      copyFileSync('one.parquet', name)
      await read(name)
      await new Promise((resolve) => setTimeout(resolve, afterMs))
      copyFileSync('two.parquet', name)
      if ((await read(name)) !== right) count++
    }),
  )
  return count
}
console.log(`same size: ${sizes[0] === sizes[1]}`)
console.log(`replaced at once, some are read wrongly: ${(await wrong(0)) > 0}`)
console.log(`replaced three seconds later, read wrongly: ${await wrong(3_000)}`)
JS
cat > expected <<'TXT'
same size: true
replaced at once, some are read wrongly: true
replaced three seconds later, read wrongly: 0
TXT
timeout 60 node seen.mjs | tee seen
diff expected seen
