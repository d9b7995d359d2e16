import { SkipstoneError } from '../errors.js'

/** A JSON object as parsed: own keys only, values unknown until a reader below has checked them. */
export type JsonObject = Readonly<Record<string, unknown>>

/** `value` as an object; `bad-file` where it is anything else. `what` names it in the message. */
export function jsonObject(value: unknown, what: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SkipstoneError(
      'bad-file',
      `${what} is not a JSON object; the file is damaged or is not what its name says.`,
    )
  }
  return value as JsonObject
}

/** The own value of `key`, with JSON null and absence both read as undefined (Hugging Face files use both for "unset"). */
export function optional(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? (object[key] ?? undefined) : undefined
}

/** A finite number, or undefined where unset; `bad-file` outside `[min, max]` or of another type. */
export function optionalNumber(
  object: JsonObject,
  key: string,
  what: string,
  min = -Number.MAX_VALUE,
  max = Number.MAX_VALUE,
): number | undefined {
  const value = optional(object, key)
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    throw new SkipstoneError(
      'bad-file',
      `"${key}" in ${what} is ${show(value)}, not a usable number; restore the original file.`,
    )
  }
  return value
}

/** An integer in `[min, max]`, or undefined where unset; otherwise `bad-file`. */
export function optionalInteger(
  object: JsonObject,
  key: string,
  what: string,
  min = 0,
  max = Number.MAX_SAFE_INTEGER,
): number | undefined {
  const value = optionalNumber(object, key, what, min, max)
  if (value !== undefined && !Number.isInteger(value)) {
    throw new SkipstoneError(
      'bad-file',
      `"${key}" in ${what} is ${value}, not a whole number; restore the original file.`,
    )
  }
  return value
}

/** A boolean, or undefined where unset; otherwise `bad-file`. */
export function optionalBoolean(object: JsonObject, key: string, what: string): boolean | undefined {
  const value = optional(object, key)
  if (value !== undefined && typeof value !== 'boolean') {
    throw new SkipstoneError(
      'bad-file',
      `"${key}" in ${what} is ${show(value)}, not true or false; restore the original file.`,
    )
  }
  return value
}

/** A string, or undefined where unset; otherwise `bad-file`. */
export function optionalString(object: JsonObject, key: string, what: string): string | undefined {
  const value = optional(object, key)
  if (value !== undefined && typeof value !== 'string') {
    throw new SkipstoneError(
      'bad-file',
      `"${key}" in ${what} is ${show(value)}, not a string; restore the original file.`,
    )
  }
  return value
}

/** `value`, or `bad-file` naming `key` where it is unset. */
export function required<T>(value: T | undefined, key: string, what: string): T {
  if (value === undefined) {
    throw new SkipstoneError('bad-file', `"${key}" is missing from ${what}; restore the original file.`)
  }
  return value
}

/** A value from a file, short enough for an error message. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
