// Control characters move the cursor and more; the others turn the direction of text, or break a line.
const unprintable = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu
const unprintableButBreaks = /(?![\n\t])[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu

/** Text from anywhere, as one line that a terminal shows and does not obey: what it would obey is escaped as in JSON. */
export function printableLine(text: string): string {
  return text.replace(unprintable, escaped)
}

/** The same for text of several lines. */
export function printable(text: string): string {
  return text.replace(unprintableButBreaks, escaped)
}

/** Every text in a value as it is parsed from JSON. */
export function printableIn(value: unknown): unknown {
  if (typeof value === 'string') return printable(value)
  if (Array.isArray(value)) return value.map(printableIn)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [printableLine(name), printableIn(item)]))
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
