import { SkipstoneError } from '../errors.js'
import { type JsonObject, optional, show } from '../formats/json.js'

/** The token ids at `key`, which Hugging Face writes as a number, a list, or null; `bad-file` for anything else. */
export function tokenIds(object: JsonObject, key: string, what: string): number[] {
  const value = optional(object, key) ?? []
  const ids: unknown[] = Array.isArray(value) ? value : [value]
  return ids.map((id) => {
    if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0) {
      throw new SkipstoneError(
        'bad-file',
        `"${key}" in ${what} holds ${show(id)}, not a token id; restore the original file.`,
      )
    }
    return id
  })
}
