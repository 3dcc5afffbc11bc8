#!/usr/bin/env bash
# @confluentinc/kafka-javascript 1.10.1 (librdkafka 2.15.1): a value or key that is an empty Buffer is stored as null.
#
# One would expect a record of zero bytes. What is stored is no value at all, which a compacted topic takes for a
# tombstone: whoever reads an empty record and writes it again deletes its key. An empty part of a longer Buffer, which is
# equal to the other by every measure of JavaScript, is stored as what it is; so are empty headers. Seen on librdkafka's
# own mock broker, and the same on Apache Kafka 4.1.
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
import kafka from '@confluentinc/kafka-javascript'

const call = (start) => new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))))
const show = (bytes) => (bytes === null || bytes === undefined ? 'null' : `${bytes.length} bytes`)

const cluster = new kafka.Producer({ 'test.mock.num.brokers': 1, log_level: 0 })
const { brokers } = await call((done) => cluster.connect({ timeout: 5_000 }, done))
const servers = brokers.map(({ host, port }) => `${host}:${port}`).join(',')

const given = {
  'Buffer.alloc(0)': Buffer.alloc(0),
  "Buffer.from('')": Buffer.from(''),
  'Buffer.alloc(1).subarray(0, 0)': Buffer.alloc(1).subarray(0, 0),
}
const producer = new kafka.Producer({ 'bootstrap.servers': servers, log_level: 0 })
await call((done) => producer.connect({ timeout: 5_000 }, done))
for (const bytes of Object.values(given)) producer.produce('topic', 0, bytes, bytes, Date.now(), undefined, [{ h: bytes }])
await call((done) => producer.flush(10_000, done))

const consumer = new kafka.KafkaConsumer({ 'bootstrap.servers': servers, 'group.id': 'seen', log_level: 0 }, {})
await call((done) => consumer.connect({ timeout: 5_000 }, done))
consumer.assign([{ topic: 'topic', partition: 0, offset: 0 }])
const messages = []
while (messages.length < 3) messages.push(...(await call((done) => consumer.consume(3 - messages.length, done))))
for (const [index, written] of Object.keys(given).entries()) {
  const { key, value, headers } = messages[index]
  console.log(`${written}: key ${show(key)}, value ${show(value)}, header ${show(headers[0].h)}`)
}
process.exit(0)
JS
cat > expected <<'TXT'
Buffer.alloc(0): key null, value null, header 0 bytes
Buffer.from(''): key null, value null, header 0 bytes
Buffer.alloc(1).subarray(0, 0): key 0 bytes, value 0 bytes, header 0 bytes
TXT
timeout 60 node seen.mjs | tee seen
diff expected seen
