import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { importModule } from '../../config/load.js'
import { describeError, type LetterTransform, type ReplayedRecord, WeirError } from '../../model/index.js'
import { type Io, UsageError } from '../io.js'
import type { Letter } from './letters.js'

/** A record as it is about to be written again. */
export type Outgoing = ReplayedRecord & { readonly value: Buffer | null }

/** Changes a record before it is written again; undefined leaves it where it is. */
export type Transform = (record: Outgoing, letter: Letter) => Promise<ReturnType<LetterTransform>>

/** The transform that a file exports. Errors: `UsageError`, WEIR_CONFIG_NOT_FOUND. */
export async function transformOf(file: string, { cwd }: Io): Promise<Transform> {
  const path = resolve(cwd, file)
  if (!existsSync(path)) throw new UsageError(`--transform: there is no ${path}`)
  const module = (await importModule(path, cwd, { weirflow: await import('../../index.js') })) as { default?: unknown }
  const given = module.default
  if (typeof given !== 'function')
    throw new UsageError(`--transform: ${file} has no default export that is a function: (record) => record`)
  const transform = given as LetterTransform
  return async (record, { at, facts: { flow, stage, code, message } }) => {
    try {
      return await transform(record, { at, flow, stage, code, message })
    } catch (error) {
      throw new WeirError('WEIR_STAGE_FAILED', `transforming letter ${at}: ${describeError(error)}`, { cause: error })
    }
  }
}
