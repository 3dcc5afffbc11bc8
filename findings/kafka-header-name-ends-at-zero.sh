#!/usr/bin/env bash
# @confluentinc/kafka-javascript 1.10.1 (librdkafka 2.15.1): the name of a header ends at its first zero byte, so that two
# headers of different names come back as two of one name.
#
# To Kafka a name is text behind its length, in which any character may stand, and Java's clients keep it. One would expect
# the same here, or an error. The name is handed on as a C string, both ways: what is written lacks its end, and so does what
# Java has written when it is read. Nothing is said, and who looks a header up by its whole name finds none. Values, in which
# zero bytes are common, are whole. Seen on librdkafka's own mock broker; each way by itself on Apache Kafka 4.1, beside
# Java's producer and a reader of the log's bytes.
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

const cluster = new kafka.Producer({ 'test.mock.num.brokers': 1, log_level: 0 })
const { brokers } = await call((done) => cluster.connect({ timeout: 5_000 }, done))
const servers = brokers.map(({ host, port }) => `${host}:${port}`).join(',')

const names = ['trace\0one', 'trace\0two', 'trace']
const producer = new kafka.Producer({ 'bootstrap.servers': servers, log_level: 0 })
await call((done) => producer.connect({ timeout: 5_000 }, done))
const headers = names.map((name) => ({ [name]: Buffer.from('a\0b') }))
producer.produce('topic', 0, Buffer.from('value'), null, Date.now(), undefined, headers)
await call((done) => producer.flush(10_000, done))

const consumer = new kafka.KafkaConsumer({ 'bootstrap.servers': servers, 'group.id': 'seen', log_level: 0 }, {})
await call((done) => consumer.connect({ timeout: 5_000 }, done))
consumer.assign([{ topic: 'topic', partition: 0, offset: 0 }])
const messages = []
while (messages.length < 1) messages.push(...(await call((done) => consumer.consume(1, done))))
console.log('written:', JSON.stringify(names))
console.log('read:', JSON.stringify(messages[0].headers.flatMap((header) => Object.keys(header))))
console.log('bytes of their values:', messages[0].headers.flatMap((header) => Object.values(header)).map(({ length }) => length).join(', '))
process.exit(0)
JS
cat > expected <<'TXT'
written: ["trace\u0000one","trace\u0000two","trace"]
read: ["trace","trace","trace"]
bytes of their values: 3, 3, 3
TXT
timeout 60 node seen.mjs | tee seen
diff expected seen
