/** Formats that take all that another one takes. */
const wider: Readonly<Record<string, readonly string[]>> = {
  'uri-reference': ['uri'],
  float: ['int32', 'int64', 'double'],
  double: ['int32', 'int64', 'float'],
  int64: ['int32'],
}

export function isWiderFormat(format: string, than: string): boolean {
  return wider[format]?.includes(than) ?? false
}
