#!/usr/bin/env bash
# @confluentinc/kafka-javascript 1.10.1 (librdkafka 2.15.1): the callback of flush comes before most delivery reports.
#
# In C, Java, Go and Python a flush that succeeds has called every delivery callback before it returns: who looks at what
# was reported then knows what became of each message. Here reports are handed to JavaScript no more than a hundred in a
# turn of the event loop, and the end of the flush does not wait for them. Of 20,000 messages that were written it had told
# of some two thousand when flush said that all was done; the others came later, each once. Had one of them failed,
# nobody would have known yet. Seen on librdkafka's own mock broker, and the same on Apache Kafka 4.1 with messages that the
# topic refused. Who needs to know has to count what was produced and what was reported.
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
const turn = () => new Promise((resolve) => setImmediate(resolve))
const count = 20_000

const cluster = new kafka.Producer({ 'test.mock.num.brokers': 1, log_level: 0 })
const { brokers } = await call((done) => cluster.connect({ timeout: 5_000 }, done))
const servers = brokers.map(({ host, port }) => `${host}:${port}`).join(',')

const producer = new kafka.Producer({ 'bootstrap.servers': servers, dr_cb: true, log_level: 0 })
await call((done) => producer.connect({ timeout: 5_000 }, done))
producer.setPollInBackground(true)
let [reports, turns, ofTurn, most] = [0, 0, 0, 0]
producer.on('delivery-report', (error) => {
  if (error) throw error
  reports++
  most = Math.max(most, ++ofTurn)
})
for (let n = 0; n < count; n++) producer.produce('topic', 0, Buffer.from(String(n)), null)
await call((done) => producer.flush(30_000, done))
const atFlush = reports
most = 0
while (reports < count) {
  ofTurn = 0
  await turn()
  turns++
}
console.error(`${atFlush} reports at the end of the flush, the last one ${turns} turns later`)
console.log(`at the end of the flush there were ${atFlush < count / 2 ? 'fewer than half' : 'most'} of the reports`)
console.log(`in the end there were ${reports}, in a turn no more than ${most}`)
process.exit(0)
JS
cat > expected <<'TXT'
at the end of the flush there were fewer than half of the reports
in the end there were 20000, in a turn no more than 100
TXT
timeout 60 node seen.mjs | tee seen
diff expected seen
