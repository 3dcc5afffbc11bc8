#!/usr/bin/env bash
# @confluentinc/schemaregistry 1.10.1: `getAllVersions` puts the subject into the path as it is; every other call encodes it.
#
# Subjects may have slashes and blanks in their names, `orders/eu-value` for one: registries take any text. With the
# same subject `getLatestSchemaMetadata` asks for one that is there, and `getAllVersions` for a path that no registry
# knows, so that the subject looks as if it had no versions.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true, "type": "commonjs" }' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @confluentinc/schemaregistry@1.10.1
cat > seen.cjs <<'JS'
const { createServer } = require('node:http')
const { SchemaRegistryClient } = require('@confluentinc/schemaregistry')

// A registry that has one subject, and says which paths it was asked for.
const subject = 'orders/eu-value'
const known = `/subjects/${encodeURIComponent(subject)}/versions`
const latest = JSON.stringify({ subject, version: 2, id: 7, schema: '"string"' })
const registry = createServer(({ url }, response) => {
  const [path] = url.split('?')
  const body = { [known]: '[1,2]', [`${known}/latest`]: latest }[path]
  console.log(`  ${path} ${body === undefined ? 404 : 200}`)
  response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' })
  response.end(body ?? '{"error_code":404,"message":"HTTP 404 Not Found"}')
})
registry.listen(0, '127.0.0.1', async () => {
  const client = new SchemaRegistryClient({ baseURLs: [`http://127.0.0.1:${registry.address().port}`] })
  console.log('getLatestSchemaMetadata')
  console.log(`  version ${(await client.getLatestSchemaMetadata(subject)).version}`)
  console.log('getAllVersions')
  const versions = await client.getAllVersions(subject).catch((error) => `error ${error.status ?? error.message}`)
  console.log(`  ${versions}`)
  process.exit(0)
})
JS
cat > expected <<'TXT'
getLatestSchemaMetadata
  /subjects/orders%2Feu-value/versions/latest 200
  version 2
getAllVersions
  /subjects/orders/eu-value/versions 404
  error 404
TXT
timeout 30 node seen.cjs | tee seen
diff expected seen
