#!/usr/bin/env bash
# @confluentinc/kafka-javascript 1.10.1 (librdkafka 2.15.1): its mock broker ends transactions with markers of checksum 0.
#
# The mock cluster is what tests run against that need no server. Batches that a producer wrote come back with the CRC32C
# that it gave them; the control batch that the mock itself appends for a commit has 0 in its place. librdkafka's own
# consumer checks nothing unless `check.crcs` is set, so nobody notices there; a reader that checks, as Java's does by
# default, takes the log for corrupt at the first transaction's end.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @confluentinc/kafka-javascript@1.10.1
client=node_modules/@confluentinc/kafka-javascript
# A prebuilt binary where one is in reach, else from source (a compiler and librdkafka's usual headers have to be there).
(cd "$client" && timeout 60 node ../../@mapbox/node-pre-gyp/bin/node-pre-gyp install >/dev/null 2>&1) ||
  CKJS_LINKING=dynamic npm_config_build_from_source=@confluentinc/kafka-javascript \
    npm rebuild @confluentinc/kafka-javascript >build.log 2>&1 || { tail -5 build.log; exit 2; }
cat > seen.mjs <<'JS'
import { connect } from 'node:net'
import kafka from '@confluentinc/kafka-javascript'

const call = (start) => new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))))

const cluster = new kafka.Producer({ 'test.mock.num.brokers': 1, log_level: 0 })
const { brokers } = await call((done) => cluster.connect({ timeout: 5_000 }, done))
const [{ host, port }] = brokers
const producer = new kafka.Producer({ 'bootstrap.servers': `${host}:${port}`, 'transactional.id': 'one', log_level: 0 })
await call((done) => producer.connect({ timeout: 5_000 }, done))
await call((done) => producer.initTransactions(10_000, done))
await call((done) => producer.beginTransaction(done))
producer.produce('topic', 0, Buffer.from('value'), null)
await call((done) => producer.commitTransaction(10_000, done))

const numbers = { 1: 'writeInt8', 2: 'writeInt16BE', 4: 'writeInt32BE' }
const int = (bytes, value) => {
  const field = Buffer.alloc(bytes)
  field[numbers[bytes]](value)
  return field
}
const long = (value) => {
  const field = Buffer.alloc(8)
  field.writeBigInt64BE(BigInt(value))
  return field
}
const text = (value) => Buffer.concat([int(2, value.length), Buffer.from(value)])

/** Fetch, version 4: one partition, of which the mock gives one batch at a time. */
async function fetched(offset) {
  const body = [int(4, -1), int(4, 100), int(4, 1), int(4, 1 << 20), int(1, 0), int(4, 1), text('topic'), int(4, 1)]
  const question = Buffer.concat([int(2, 1), int(2, 4), int(4, 7), text('seen'), ...body, int(4, 0), long(offset), int(4, 1 << 20)])
  const socket = connect(port, host)
  socket.write(Buffer.concat([int(4, question.length), question]))
  let answer = Buffer.alloc(0)
  for await (const piece of socket) {
    answer = Buffer.concat([answer, piece])
    if (answer.length >= 4 && answer.length >= 4 + answer.readInt32BE(0)) break
  }
  // Size, correlation, throttle time, topics, the name, partitions, the number, the error, two ends; then what was aborted.
  const aborted = 4 + 4 + 4 + 4 + 2 + 'topic'.length + 4 + 4 + 2 + 8 + 8
  const records = aborted + 4 + 16 * Math.max(0, answer.readInt32BE(aborted))
  return answer.subarray(records + 4, records + 4 + answer.readInt32BE(records))
}

function crc32c(bytes) {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

const log = Buffer.concat([await fetched(0), await fetched(1)])
for (let at = 0; at < log.length; ) {
  const end = at + 12 + log.readInt32BE(at + 8)
  const isControl = (log.readInt16BE(at + 21) & 0x20) !== 0
  const said = log.readUInt32BE(at + 17)
  const verdict = said === crc32c(log.subarray(at + 21, end)) ? 'right' : said === 0 ? '0, and not right' : 'wrong'
  console.log(`${isControl ? 'marker' : 'records'}: checksum ${verdict}`)
  at = end
}
process.exit(0)
JS
cat > expected <<'TXT'
records: checksum right
marker: checksum 0, and not right
TXT
timeout 60 node seen.mjs | tee seen
diff expected seen
