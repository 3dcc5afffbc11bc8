import { describe, expect, test } from 'vitest'
import { faultsOf, least, readJson, readKafka } from '../support/cloudevents.js'

/** What is said of an attribute with this value. */
const told = (members: object) => faultsOf(() => readJson(members))
const held = 'nothing is wrong'

describe('id, type and subject', () => {
  test.each(['id', 'type', 'subject'])('%s is any text of allowed characters', (name) => {
    for (const text of ['1', 'a b', 'ä汉🦦', '\u00a0', '\ud83e\udda6', 'x'.repeat(10_000)])
      expect(told({ [name]: text })).toBe(held)
  })

  test.each(['id', 'type', 'subject'])('%s is not empty, and has no character that is not allowed', (name) => {
    const wrong = [
      '',
      '\u0000',
      'a\nb',
      '\u007f',
      '\u009f',
      '\ufdd0',
      '\ufffe',
      '\uffff',
      '\u{1ffff}',
      '\ud800',
      '\udead\ud800',
    ]
    for (const text of wrong) expect(told({ [name]: text })).toContain(`${name}: expected a text that is not empty`)
  })

  test.each(['id', 'type', 'subject', 'source', 'time', 'datacontenttype', 'dataschema', 'specversion'])(
    '%s is a text, and nothing else',
    (name) => {
      for (const value of [25, 1.5, true, { xyz: 'abc' }, ['a']])
        expect(told({ [name]: value })).toContain(`${name}: expected`)
    },
  )
})

describe('required', () => {
  test.each(['id', 'source', 'specversion', 'type'])('%s', (name) => {
    const { [name]: _, ...others } = least as Record<string, string>
    expect(faultsOf(() => readKafka(JSON.stringify(others)))).toBe(`reading a CloudEvent: ${name}: it is missing`)
    expect(told({ [name]: null })).toBe(`reading a CloudEvent: ${name}: it is missing`)
  })
})

describe('specversion', () => {
  test.each(['0.3', '0.2', '1', '1.0.2', '1.1', '2.0', '', ' 1.0'])('is not %j', (specversion) => {
    expect(told({ specversion })).toBe(
      `reading a CloudEvent: specversion: expected "1.0", for no other version is read, got ${JSON.stringify(specversion)}`,
    )
  })
})

describe('source', () => {
  test.each([
    '/',
    '/mycontext/subcontext',
    '#fragment',
    '?query',
    '//authority/path',
    'https://github.com/cloudevents',
    'https://user:pass@example.com:8080/a/b;c=d?e=f/?#g/?',
    'http://[::1]:80/',
    'http://[2001:db8::7]/c=GB?objectClass?one',
    'http://[v1.fe:80]/',
    'http://192.0.2.16:80/',
    'mailto:cncf-wg-serverless@lists.cncf.io',
    'urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66',
    'cloudevents/spec/pull/123',
    '/sensors/tn-1234567/alerts',
    '1-555-123-4567',
    'tel:+1-816-555-1212',
    'file:///etc/fstab',
    'a%20b',
    '../up',
    './a:b',
    'x:',
    'http://',
    'http://a:/',
  ])('is %s', (source) => {
    expect(told({ source })).toBe(held)
  })

  test.each([
    '',
    'a b',
    ' /a',
    '/a\n',
    'ä',
    '%',
    '%2',
    '%zz',
    '1a:b',
    ':a',
    '/a#b#c',
    'http://[::1/',
    'http://[1::2::3]/',
    'http://[zz]/',
    'http://a:b/',
    'a\\b',
    '<a>',
    '"a"',
    '{a}',
    'a|b',
    'a^b',
    '`',
    'http://a@b@c/',
  ])('is not %j', (source) => {
    expect(told({ source })).toContain('source: expected a URI-reference that is not empty')
  })

  test('is read in a time that its length says', () => {
    const long = [
      `/${'a'.repeat(500_000)}`,
      `/${'a/'.repeat(250_000)}`,
      `//${'a:'.repeat(250_000)}`,
      `${'%20'.repeat(150_000)}`,
    ]
    const start = performance.now()
    for (const source of long) for (const end of ['', ' ']) told({ source: source + end })
    expect(performance.now() - start).toBeLessThan(30_000)
  })
})

describe('dataschema', () => {
  test.each(['https://cloudevents.io/dataschema', 'urn:a:b', 'x:y?z', 'schema:../v1'])('is %s', (dataschema) => {
    expect(told({ dataschema })).toBe(held)
  })

  test.each(['', '/schema', 'schema', '//host/schema', 'https://cloudevents.io/a#b', '#b', 'https://a b'])(
    'is not %j',
    (dataschema) => {
      expect(told({ dataschema })).toContain('dataschema: expected an absolute URI, without a fragment')
    },
  )
})

describe('time', () => {
  test.each([
    '2018-04-05T17:31:00Z',
    '2018-04-05t17:31:00z',
    '2018-04-05T17:31:00.000000000Z',
    `2018-04-05T17:31:00.${'123456789'.repeat(20)}Z`,
    '2018-04-05T18:31:00+01:00',
    '2018-04-05T16:31:00-01:00',
    '2018-04-05T16:31:00-00:00',
    '2018-04-05T16:31:00+23:59',
    '2016-12-31T23:59:60Z',
    '2016-12-31T23:59:60.25Z',
    '2017-01-01T00:59:60+01:00',
    '1990-12-31T15:59:60-08:00',
    '2024-02-29T00:00:00Z',
    '0000-01-01T00:00:00Z',
    '9999-12-31T23:59:59.999999999Z',
  ])('is %s, and stays it', (time) => {
    expect(readJson({ time }).time).toBe(time)
  })

  test.each([
    'lunchtime',
    '',
    '2018-04-05T18:31Z',
    '2018-04-05T18:31:00X',
    '2018-04-05T18:31:00',
    '2018-04-05 18:31:00Z',
    '2018-04-05_18:31:00Z',
    '2018-04-05',
    '2018-04-05T18:31:00+25:00',
    '2018-04-05T18:31:00+24:00',
    '2018-04-05T18:31:00+01:60',
    '2018-04-05T18:31:00+xx:00',
    '2018-04-05T18:31:00+05',
    '2018-04-05T18:31:00+0500',
    '2018-04-05T24:00:00Z',
    '2018-04-05T18:60:00Z',
    '2018-04-05T18:31:60Z',
    '2018-04-05T23:59:60Z',
    '2016-12-31T23:59:61Z',
    '2016-12-31T23:59:60+01:00',
    '2018-02-29T00:00:00Z',
    '2018-02-30T00:00:00Z',
    '2018-13-01T00:00:00Z',
    '2018-00-01T00:00:00Z',
    '2018-04-05T18:31:00.Z',
    '2018-04-05T18:31:00,5Z',
    '18-04-05T18:31:00Z',
    '+2018-04-05T18:31:00Z',
    '2018-04-05T18:31:00Z ',
    '2018-04-05T18:31:00\u0660Z',
  ])('is not %j', (time) => {
    expect(told({ time })).toBe(
      `reading a CloudEvent: time: expected a date and time by RFC 3339, with its offset, got ${JSON.stringify(time)}`,
    )
  })
})

describe('datacontenttype', () => {
  test.each([
    'application/json',
    'application/json; charset=utf-8',
    'APPLICATION/JSON ;charset="utf-8"',
    'text/plain;charset=iso-8859-1;format=flowed',
    'application/vnd.x+json',
    'x/y',
    'multipart/mixed; boundary="a b;c\\"d"',
    "!#$%&'*+-.^_`|~/{}",
  ])('is %s', (datacontenttype) => {
    expect(told({ datacontenttype })).toBe(held)
  })

  test.each([
    '',
    'xyz',
    'a/',
    '/b',
    'a/b/c',
    'a /b',
    'a/b; c',
    'a/b; c=',
    'a/b; =d',
    'a/b;c="d',
    'a/b c',
    'a/b;c=d e',
    'ä/b',
    'a/b;c="ä"',
    'a@b/c',
  ])('is not %j', (datacontenttype) => {
    expect(told({ datacontenttype })).toContain('datacontenttype: expected a media type')
  })
})

describe('extensions', () => {
  test('are booleans, integers of 32 bits and texts, under names of letters and digits', () => {
    const extensions = {
      a: true,
      b: false,
      c: 0,
      d: 2_147_483_647,
      e: -2_147_483_648,
      f: '',
      '1': 'ä',
      constructor: 'x',
      anextensionwithanameofmorethantwentycharacters: 'x',
      extbinary: 'TWE=',
    }
    expect(readJson(extensions).extensions).toEqual(extensions)
  })

  test.each([
    'MyExtension',
    'my.extension',
    'my_extension',
    'my-extension',
    '',
    'ä',
    'a b',
    '__proto__',
    'Data',
    'data_base',
  ])('%j names none', (name) => {
    const json = JSON.stringify(least).replace('}', `,${JSON.stringify(name)}:"bad"}`)
    expect(faultsOf(() => readKafka(json))).toContain(
      `${JSON.stringify(name)} can't name an attribute: expected letters from a to z and digits`,
    )
  })

  test.each(['1.5', '1.0', '1e3', '2147483648', '-2147483649', '{"a":1}', '[1]', '1e999', '"\\u0007"', '"\\ud800"'])(
    '%s is none',
    (value) => {
      const json = JSON.stringify(least).replace('}', `,"ext":${value}}`)
      expect(faultsOf(() => readKafka(json))).toContain(
        'ext: expected a boolean, an integer of 32 bits or a text of allowed characters, got ',
      )
    },
  )

  test('that are null are not there, nor are other attributes', () => {
    const unset = { subject: null, time: null, datacontenttype: null, dataschema: null, data_base64: null, ext: null }
    expect(readJson(unset)).toEqual({ ...least, extensions: {} })
  })

  test('have no zero below zero', () => {
    expect(Object.is(readKafka(JSON.stringify(least).replace('}', ',"ext":-0}')).extensions['ext'], 0)).toBe(true)
  })
})

test('all faults of an event are named at once', () => {
  const wrong =
    '{"specversion":"0.3","source":"","time":"noon","dataschema":"#","subject":"","datacontenttype":"x","Ext":1,"ext":{},"data":1,"data_base64":"?"}'
  expect(faultsOf(() => readKafka(wrong)).split('; ')).toEqual([
    'reading a CloudEvent: specversion: expected "1.0", for no other version is read, got "0.3"',
    'source: expected a URI-reference that is not empty, got ""',
    'time: expected a date and time by RFC 3339, with its offset, got "noon"',
    'dataschema: expected an absolute URI, without a fragment, got "#"',
    'subject: expected a text that is not empty, without control characters, noncharacters and halves of surrogate pairs, got ""',
    'datacontenttype: expected a media type, got "x"',
    '"Ext" can\'t name an attribute: expected letters from a to z and digits',
    'ext: expected a boolean, an integer of 32 bits or a text of allowed characters, got {}',
    'data_base64: it stands beside data: only one may be there',
    'id: it is missing',
    'type: it is missing',
  ])
})

test('an error tells no more of an event than its beginning', () => {
  const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`_${index}`, index]))
  const message = told({ ...many, time: 'x'.repeat(100_000) })
  expect(message).toMatch(/; and 4901 more$/)
  expect(message.length).toBeLessThan(15_000)
})
