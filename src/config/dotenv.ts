import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'dotenv'
import type { Environment } from '../model/index.js'

/** The environment, and what the `.env` of a directory adds to it; it overrides nothing. */
export function withDotenv(environment: Environment, directory: string): Environment {
  return { ...parse(textOf(join(directory, '.env'))), ...environment }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}
