#!/usr/bin/env bash
# cassandra-driver 4.10.0: a decimal given as text with an exponent is stored as another number, without an error.
#
# `String(1e21)` is '1e+21', and '1e21' is a decimal in CQL. `BigDecimal.fromString`, through which every text for a
# decimal column goes, reads the digits before the exponent and drops the rest: 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true, "type": "commonjs" }' > package.json
npm install --silent --no-audit --no-fund cassandra-driver@4.10.0
cat > seen.cjs <<'JS'
const { types } = require('cassandra-driver')
for (const text of ['12.5', '1e21', String(1e21)]) console.log(`decimal ${text}: ${types.BigDecimal.fromString(text)}`)
JS
cat > expected <<'TXT'
decimal 12.5: 12.5
decimal 1e21: 1
decimal 1e+21: 1
TXT
timeout 30 node seen.cjs | tee seen
diff expected seen
