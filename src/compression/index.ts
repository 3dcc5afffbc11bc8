/**
 * Ways to compress and back, for whatever has a format that names one.
 *
 * - `compress`, `decompress`: by Node, or by packages that are loaded when they are first needed
 * - `largest`: what may come of compressed bytes, to refuse a bomb
 */
export * from './compress.js'
export * from './decompress.js'
