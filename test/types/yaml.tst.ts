import { describe, expect, test } from 'tstyche'
import { z } from 'zod'
import { archive, env, kafka, type Setting, yaml } from '../../src/index.js'

const App = z.strictObject({
  port: z.int().optional(),
  mode: z.enum(['fast', 'safe']).optional(),
  hosts: z.union([z.string(), z.array(z.string())]).optional(),
  db: z.strictObject({ url: z.url(), pool: z.strictObject({ size: z.int() }).optional() }).optional(),
})
const file = yaml('app.yaml', App)

describe('settings of a file', () => {
  test('are typed by its schema', () => {
    expect(file).type.toBeAssignableTo<Setting<z.output<typeof App>>>()
    expect(file.at('port')).type.toBe<Setting<number>>()
    expect(file.at('mode')).type.toBe<Setting<'fast' | 'safe'>>()
    expect(file.at('hosts')).type.toBe<Setting<string | string[]>>()
    expect(file.at('db.url')).type.toBe<Setting<string>>()
    expect(file.at('db.pool.size')).type.toBe<Setting<number>>()
    expect(file.at('db.pool')).type.toBe<Setting<{ size: number }>>()
  })

  test('are what a schema makes of what is written', () => {
    const made = yaml('app.yaml', z.object({ since: z.string().transform((text) => new Date(text)) }))
    expect(made.at('since')).type.toBe<Setting<Date>>()
  })

  test('are of keys that the schema has', () => {
    expect(file.at).type.not.toBeCallableWith('prot')
    expect(file.at).type.not.toBeCallableWith('db.pool.length')
    expect(file.at).type.not.toBeCallableWith('hosts.0')
    expect(file.at).type.not.toBeCallableWith('')
  })

  test('are layers among others', () => {
    expect(env('PORT').int().or(file.at('port')).default(80)).type.toBe<Setting<number>>()
    expect(file.at('port').optional()).type.toBe<Setting<number | undefined>>()
    expect(env('HOSTS').or(file.at('hosts')).list()).type.toBe<Setting<string[]>>()
    expect(env('HOSTS').list().default(['a', 'b'])).type.toBeAssignableTo<Setting<string[]>>()
    expect(kafka).type.toBeCallableWith({ brokers: env('KAFKA_BROKERS').or(file.at('hosts')).default('embedded') })
    expect(kafka).type.not.toBeCallableWith({ brokers: file.at('port') })
  })

  test('have a file that a variable may name', () => {
    expect(yaml(env('APP_CONFIG').default('app.yaml'), App).at('port')).type.toBe<Setting<number>>()
    expect(yaml).type.not.toBeCallableWith(env('APP_CONFIG').int(), App)
  })
})

describe('a choice', () => {
  const store = env('BACKEND').choose({
    file: { backend: 'file', path: env('DIR') },
    s3: { backend: 's3', bucket: env('BUCKET'), region: env('REGION').optional() },
  })

  test('is any of what there is to choose, its settings read', () => {
    expect(store).type.toBe<
      Setting<{ backend: 'file'; path: string } | { backend: 's3'; bucket: string; region: string | undefined }>
    >()
  })

  test('is options, where these are one of several kinds', () => {
    expect(archive.sink).type.toBeCallableWith({ store })
    expect(archive.sink).type.not.toBeCallableWith({
      store: env('BACKEND').choose({ file: { backend: 'file', path: env('DIR').int() } }),
    })
  })
})
