/** What a text is the JSON of; undefined where it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The object that a text is the JSON of; undefined where it is something else. */
export function parseObject(text: unknown): object | undefined {
  const value = typeof text === 'string' ? parseJson(text) : undefined
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
}
