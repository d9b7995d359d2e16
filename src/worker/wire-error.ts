import { ERROR_CODES, type ErrorCode, SkipstoneError } from '../errors.js'

/** An error as it crosses a channel: structured cloning keeps neither classes nor codes. */
export interface WireError {
  readonly name: string
  readonly message: string
  readonly code?: ErrorCode
  readonly cause?: string
}

export function toWire(error: unknown): WireError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) }
  const { name, message, cause } = error
  const code = error instanceof SkipstoneError ? { code: error.code } : {}
  return { name, message, ...code, ...(cause !== undefined && { cause: String(cause) }) }
}

/** The error again; `cause` instead of the one that crossed, which is only a text. */
export function fromWire(wire: WireError, cause: unknown = wire.cause): Error {
  const { name, message, code } = wire
  const options = cause === undefined ? undefined : { cause }
  if (code !== undefined && ERROR_CODES.includes(code)) return new SkipstoneError(code, message, options)
  return Object.assign(new Error(message, options), { name })
}
