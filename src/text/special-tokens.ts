/** Whether a value that came from JSON is an object, and neither null nor a list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The text of a special token, which Hugging Face files write as a string or as `{ content }`. */
function contentOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return isRecord(value) && typeof value.content === 'string' ? value.content : undefined
}

/**
 * The special tokens that a `tokenizer_config.json` names: `bos_token`, `eos_token` and every other `…_token` whose
 * value is a token. Keys like `add_bos_token`, whose value is a boolean, are left out.
 */
export function namedSpecialTokens(tokenizerConfig: unknown): Map<string, string> {
  const named = new Map<string, string>()
  if (!isRecord(tokenizerConfig)) return named
  for (const [key, value] of Object.entries(tokenizerConfig)) {
    const content = contentOf(value)
    if (key.endsWith('_token') && content !== undefined) named.set(key, content)
  }
  return named
}

/** The list `additional_special_tokens` of a `tokenizer_config.json`, empty where there is none. */
export function additionalSpecialTokens(tokenizerConfig: unknown): string[] {
  const list = isRecord(tokenizerConfig) ? tokenizerConfig.additional_special_tokens : undefined
  if (!Array.isArray(list)) return []
  return list.map(contentOf).filter((content) => content !== undefined)
}
