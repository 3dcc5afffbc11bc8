#!/usr/bin/env bash
# avsc 5.7.9: a `long` below -2^52 is written as the bytes of another number, mostly its positive, without an error.
#
# Avro's longs are zigzag: -4503599628000000 takes ten bytes at most and is well within what a number of JavaScript keeps.
# avsc reckons with numbers beyond 2^53 on the way (twice the value), and loses the lowest bit, which is the sign. Read, the
# right bytes of such a number come back as the positive one too. At the very end of the safe integers, and there
# alone, it refuses.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true, "type": "commonjs" }' > package.json
npm install --silent --no-audit --no-fund avsc@5.7.9
cat > seen.cjs <<'JS'
const long = require('avsc').Type.forSchema('long')
const hex = (value) => long.toBuffer(value).toString('hex')
for (const value of [-4503599627000000, -4503599628000000]) {
  console.log(`${value}: ${hex(value) === hex(-value) ? 'the bytes of its positive' : 'bytes of its own'}, read as ${long.fromBuffer(long.toBuffer(value))}`)
}
// Zigzag, by the specification: 2 * 4503599628000000 - 1, seven bits at a time.
const right = []
for (let rest = 2n * 4503599628000000n - 1n; ; rest >>= 7n) {
  right.push(Number(rest & 127n) | (rest > 127n ? 128 : 0))
  if (rest <= 127n) break
}
console.log(`the right bytes of -4503599628000000, read: ${long.fromBuffer(Buffer.from(right))}`)
JS
cat > expected <<'TXT'
-4503599627000000: bytes of its own, read as -4503599627000000
-4503599628000000: the bytes of its positive, read as 4503599628000000
the right bytes of -4503599628000000, read: 4503599628000000
TXT
timeout 30 node seen.cjs | tee seen
diff expected seen
