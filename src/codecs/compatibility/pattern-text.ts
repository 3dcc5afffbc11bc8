interface Repeated {
  readonly text: string
  readonly count: number
}

const escapes: Readonly<Record<string, string>> = { d: '0', w: 'a', s: ' ', D: 'a', W: '-', S: 'a', n: '\n', t: '\t' }

/** Texts that match a regular expression, where it is a simple one; none where it isn't. */
export function textsMatching(pattern: string): string[] {
  const texts = [0, 1].map((more) => sequence(pattern, more)).filter((text) => text !== undefined)
  const expression = new RegExp(pattern, 'u')
  return [...new Set(texts)].filter((text) => expression.test(text))
}

/** One text of the first alternative, with that many repeats more than there have to be. */
function sequence(pattern: string, more: number): string | undefined {
  let text = ''
  let rest = pattern
  while (rest !== '') {
    if (rest.startsWith('|')) return text
    const atom = atomOf(rest, more)
    if (atom === undefined) return undefined
    rest = rest.slice(atom.count)
    const quantifier = /^(?:[*+?]|\{(\d+)(?:,(\d*))?\})\??/.exec(rest)
    rest = rest.slice(quantifier?.[0].length ?? 0)
    text += quantifier === null ? atom.text : atom.text.repeat(countOf(quantifier, more))
  }
  return text
}

function countOf([whole, fewest, most]: RegExpExecArray, more: number): number {
  if (fewest === undefined) return whole.startsWith('+') ? 1 + more : more
  if (most === undefined) return Number(fewest)
  return most === '' ? Number(fewest) + more : Math.min(Number(most), Number(fewest) + more)
}

/** What stands at the beginning, and how much of the pattern it is. */
function atomOf(pattern: string, more: number): Repeated | undefined {
  const [first = ''] = pattern
  if (first === '^' || first === '$') return { text: '', count: 1 }
  if (first === '.') return { text: 'a', count: 1 }
  if (first === '\\') return { text: escapes[pattern[1] ?? ''] ?? pattern[1] ?? '', count: 2 }
  if (first === '[') return classOf(pattern)
  if (first === '(') return groupOf(pattern, more)
  return { text: first, count: first.length }
}

function classOf(pattern: string): Repeated | undefined {
  const found = /^\[(\^?)((?:\\.|[^\]\\])+)\]/u.exec(pattern)
  if (found === null) return undefined
  const [whole, not, inside = ''] = found
  const expression = new RegExp(whole, 'u')
  const [first = ''] = inside.startsWith('\\') ? (escapes[inside[1] ?? ''] ?? inside.slice(1)) : inside
  const text = not === '' ? first : [...'a0-_ A.'].find((one) => expression.test(one))
  return text === undefined ? undefined : { text, count: whole.length }
}

function groupOf(pattern: string, more: number): Repeated | undefined {
  let depth = 0
  for (let index = 0; index < pattern.length; index++) {
    if (pattern[index] === '\\') index++
    else if (pattern[index] === '(') depth++
    else if (pattern[index] === ')' && --depth === 0) {
      const text = sequence(pattern.slice(1, index).replace(/^\?(?::|<\w+>)/, ''), more)
      return text === undefined ? undefined : { text, count: index + 1 }
    }
  }
  return undefined
}
