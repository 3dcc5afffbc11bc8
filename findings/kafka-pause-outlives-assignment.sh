#!/usr/bin/env bash
# @confluentinc/kafka-javascript 1.10.1 (librdkafka 2.15.1): a partition that was paused when it was given back is still
# paused when it is assigned again, and nothing comes of it.
#
# One would expect a fresh assignment to be read from, as the Java consumer does, which forgets a pause with the
# partition. Here the pause belongs to the client and not to the assignment: it holds through unassign and assign (and
# through rebalances), without an error, an event or a log line, until somebody resumes the partition by name. Seen on
# librdkafka's own mock broker, and the same on Apache Kafka 4.1 under each group protocol.
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

const producer = new kafka.Producer({ 'bootstrap.servers': servers, log_level: 0 })
await call((done) => producer.connect({ timeout: 5_000 }, done))
for (const text of ['one', 'two', 'three']) producer.produce('topic', 0, Buffer.from(text), null, Date.now())
await call((done) => producer.flush(10_000, done))

const consumer = new kafka.KafkaConsumer({ 'bootstrap.servers': servers, 'group.id': 'seen', log_level: 0 }, {})
await call((done) => consumer.connect({ timeout: 5_000 }, done))
const partition = { topic: 'topic', partition: 0 }
const records = async () => {
  let count = 0
  for (const until = Date.now() + 5_000; count < 3 && Date.now() < until; ) {
    count += (await call((done) => consumer.consume(3, done))).length
  }
  return count
}
consumer.assign([{ ...partition, offset: 0 }])
console.log(`assigned: ${await records()} records`)
consumer.pause([partition])
consumer.unassign()
consumer.assign([{ ...partition, offset: 0 }])
console.log(`paused, unassigned and assigned again: ${await records()} records`)
consumer.resume([partition])
console.log(`resumed: ${await records()} records`)
process.exit(0)
JS
cat > expected <<'TXT'
assigned: 3 records
paused, unassigned and assigned again: 0 records
resumed: 3 records
TXT
timeout 60 node seen.mjs | tee seen
diff expected seen
