#!/usr/bin/env bash
# cassandra-driver 4.10.0: a decimal given as text with an exponent is stored as another number, without an error.
#
# `String(1e21)` is '1e+21', and '1e21' is a decimal in CQL. `BigDecimal.fromString`, through which every text for a
# decimal column goes, reads the digits before the exponent and drops the rest: 1. So does a time of day without
# minutes: `LocalTime.fromString('noon')` is midnight, and `LocalDate.fromString('2024-02-30')` is the first of March.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true, "type": "commonjs" }' > package.json
npm install --silent --no-audit --no-fund cassandra-driver@4.10.0
cat > seen.cjs <<'JS'
const { types } = require('cassandra-driver')
const shown = (of) => {
  try {
    return String(of())
  } catch (error) {
    return `refused (${error.name})`
  }
}
for (const text of ['12.5', '1e21', String(1e21), 'x']) console.log(`decimal ${text}: ${shown(() => types.BigDecimal.fromString(text))}`)
for (const text of ['07:30:00', 'noon']) console.log(`time ${text}: ${shown(() => types.LocalTime.fromString(text))}`)
console.log(`date 2024-02-30: ${shown(() => types.LocalDate.fromString('2024-02-30'))}`)
JS
cat > expected <<'TXT'
decimal 12.5: 12.5
decimal 1e21: 1
decimal 1e+21: 1
decimal x: 0
time 07:30:00: 07:30:00
time noon: 00:00:00
date 2024-02-30: 2024-03-01
TXT
timeout 30 node seen.cjs | tee seen
diff expected seen
