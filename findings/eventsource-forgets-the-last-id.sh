#!/usr/bin/env bash
# eventsource 4.1.1 (with eventsource-parser 3.1.1): a block that only has an `id` does not move the last event id, and
# an event without an `id` of its own tells '' as its `lastEventId`.
#
# By the HTML standard (server-sent events, "dispatch the event") an id stays in force until the next one, and a block
# without data still sets it: servers send such blocks as check points between events. A reader that connects again with
# what this client tells gets events twice, or all of the stream.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --no-audit --no-fund eventsource@4.1.1 eventsource-parser@3.1.1
cat > seen.mjs <<'JS'
import { createServer } from 'node:http'
import { EventSource } from 'eventsource'

const asked = []
const server = createServer((request, response) => {
  asked.push(request.headers['last-event-id'] ?? 'none')
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  if (asked.length === 1) response.end('retry: 50\n\nid: 1\ndata: first\n\ndata: second\n\nid: 3\n\n')
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))

const source = new EventSource(`http://127.0.0.1:${server.address().port}/`)
source.onmessage = ({ data, lastEventId }) => console.log(`${data}: lastEventId '${lastEventId}'`)
while (asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 20))
console.log(`asked again behind: ${asked[1]}`)
process.exit(0)
JS
cat > expected <<'TXT'
first: lastEventId '1'
second: lastEventId ''
asked again behind: 1
TXT
timeout 30 node seen.mjs | tee seen
diff expected seen
