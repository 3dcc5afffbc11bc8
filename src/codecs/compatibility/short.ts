const most = 80

/** A value as JSON, cut where it is long; the name of a type as it is. */
export function short(value: unknown): string {
  if (value instanceof TypeName) return value.name
  const text = JSON.stringify(value) ?? String(value)
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}

/** A type, where texts list types beside values. */
export class TypeName {
  constructor(readonly name: string) {}
}
