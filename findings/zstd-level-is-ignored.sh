#!/usr/bin/env bash
# @mongodb-js/zstd 1.2.2: `compress(data, level)` takes a level, and does the same whatever it is.
#
# Its README and types name the level, 3 by default; the sizes for 1, 3, 9 and 19 are equal to the byte, where those of zstd
# itself differ by a quarter on the same text.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true, "type": "commonjs" }' > package.json
npm install --silent --no-audit --no-fund @mongodb-js/zstd@1.2.2
cat > seen.cjs <<'JS'
const { compress } = require('@mongodb-js/zstd')
const text = Buffer.from(Array.from({ length: 20_000 }, (_, n) => JSON.stringify({ id: n, user: `user-${(n * 7919) % 1009}`, at: n * 1_003 })).join('\n'))
const run = async () => {
  const sizes = []
  for (const level of [1, 3, 9, 19]) sizes.push((await compress(text, level)).length)
  console.log(`different sizes of levels 1, 3, 9 and 19: ${new Set(sizes).size}`)
}
run()
JS
cat > expected <<'TXT'
different sizes of levels 1, 3, 9 and 19: 1
TXT
timeout 60 node seen.cjs | tee seen
diff expected seen
