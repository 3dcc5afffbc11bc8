import { describe, expect, test } from 'vitest'
import { nestsDeeper, usualDepth } from '../../src/model/index.js'

const nested = (depth: number) => Buffer.from('['.repeat(depth) + ']'.repeat(depth))

describe('nesting is told from bytes', () => {
  test.each([1, 2, 99, 100])('%s levels are within a hundred', (depth) => {
    expect(nestsDeeper(nested(depth), usualDepth)).toBe(false)
  })

  test.each([101, 5_000, 1_000_000])('%s levels are deeper than a hundred', (depth) => {
    expect(nestsDeeper(nested(depth), usualDepth)).toBe(true)
  })

  test('objects count as arrays do', () => {
    const text = '{"a":['.repeat(51) + ']}'.repeat(51)
    expect(nestsDeeper(Buffer.from(text), 101)).toBe(true)
    expect(nestsDeeper(Buffer.from(text), 102)).toBe(false)
  })

  test('brackets in texts do not count, behind escaped quotes either', () => {
    const text = JSON.stringify({ text: `"${'['.repeat(500)}\\"${'{'.repeat(500)}` })
    expect(nestsDeeper(Buffer.from(text), usualDepth)).toBe(false)
  })

  test('many neighbours are not deep', () => {
    expect(nestsDeeper(Buffer.from(JSON.stringify(Array(5_000).fill([[]]))), usualDepth)).toBe(false)
  })

  test('what is no JSON ends too', () => {
    expect(nestsDeeper(Buffer.from(`"${'\\'.repeat(301)}`), usualDepth)).toBe(false)
    expect(nestsDeeper(Buffer.from(']'.repeat(300)), usualDepth)).toBe(false)
  })
})
