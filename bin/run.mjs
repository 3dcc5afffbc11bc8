import { existsSync } from 'node:fs'

// A clone has the scripts, the published package has not: a clone makes itself ready first.
const clone = new URL('../scripts/setup.mjs', import.meta.url)
if (existsSync(clone)) {
  const { setup } = await import(clone.href)
  const { exitWith } = await import(new URL('./process.mjs', clone).href)
  await setup().catch(exitWith)
  process.setSourceMapsEnabled(true)
}

await import('../dist/cli/bin.js')
