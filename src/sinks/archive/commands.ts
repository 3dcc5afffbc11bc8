import { addressOf, type StoreOptions } from './open-store.js'

/** What counts the events of an archive by their type, for a shell: DuckDB, and what it has to be told to get there. */
export function countingCommands(store: StoreOptions, format: 'parquet' | 'avro'): readonly string[] {
  const files = quoted(`${folderOf(store).replace(/[*?[]/g, '[$&]')}/${below(format)}`)
  const query = `select type, count(*) from ${format === 'avro' ? `read_avro(${files})` : files} group by 1`
  const before = format === 'avro' ? ['install avro', 'load avro'] : []
  const secret = secretOf(store)
  const command = [...before, ...(secret === undefined ? [] : [secret]), query].join('; ')
  const remark = secret?.includes(blank) ? [`# with the account's own in place of ${blank}:`] : []
  return [...remark, `duckdb -c "${command.replace(/["$`\\]/g, '\\$&')}"`]
}

/** All files of an archive, for people: `s3://bucket/prefix/**\/*.parquet`. */
export function filesOf(store: StoreOptions, format: string): string {
  return `${folderOf(store)}/${below(format)}`
}

function folderOf(store: StoreOptions): string {
  return addressOf(store).replace(/\/+$/, '')
}

function below(format: string): string {
  return `**/*.${format}`
}

const blank = '…'

/** Nothing that is secret is told: what this process has not found by itself is left blank. */
function secretOf(store: StoreOptions): string | undefined {
  switch (store.backend) {
    case 'file':
      return undefined
    case 's3': {
      const { region, endpoint, pathStyle = endpoint !== undefined, accessKeyId } = store
      const key =
        accessKeyId === undefined
          ? ['provider credential_chain']
          : [`key_id ${quoted(blank)}`, `secret ${quoted(blank)}`]
      return secret('s3', [
        ...key,
        ...(region === undefined ? [] : [`region ${quoted(region)}`]),
        ...(endpoint === undefined ? [] : placeOf(new URL(endpoint))),
        ...(pathStyle ? ["url_style 'path'"] : []),
      ])
    }
    case 'gcs':
      return secret('gcs', [`key_id ${quoted(blank)}`, `secret ${quoted(blank)}`])
    case 'azure': {
      if (store.url === undefined) return secret('azure', [`connection_string ${quoted(blank)}`])
      const [account = ''] = new URL(store.url).hostname.split('.')
      return secret('azure', ['provider credential_chain', `account_name ${quoted(account)}`])
    }
  }
}

function placeOf({ host, protocol }: URL): string[] {
  return [`endpoint ${quoted(host)}`, ...(protocol === 'http:' ? ['use_ssl false'] : [])]
}

function secret(type: string, how: readonly string[]): string {
  return `create secret (type ${type}, ${how.join(', ')})`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
