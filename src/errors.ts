/**
 * Every failure that Skipstone reports on purpose. Codes are stable: programs may compare them, so one is added here
 * before it is thrown and none is renamed.
 */
export const ERROR_CODES = [
  'no-webgpu', // this browser or Node has no WebGPU at all
  'no-adapter', // WebGPU is there, but no adapter that can be used
  'device-lost', // the GPU device went away while work was running
  'out-of-memory', // a GPU allocation failed or exceeds a device limit
  'bad-file', // a file is truncated, malformed, or contradicts itself
  'unsupported', // understood, but not something this version can run
  'missing-tensor', // a checkpoint lacks a tensor that its architecture needs
  'missing-weights', // a policy needs weights (routers, gates, a profile) that were not given
  'wrong-model', // routers or an adapter that belong to another model
  'unknown-policy', // no policy of this name
  'bad-option', // an option out of range or in conflict with another
  'context-full', // the prompt, or the conversation, is longer than the context
  'aborted', // the caller's AbortSignal fired
  'busy', // the session is already generating
  'disposed', // used after dispose()
  'not-found', // a file, model, or browser that is not there
  'network', // a request failed
  'quota', // the browser gives this site no more room
  'storage', // the browser's database failed
  'corrupt', // bytes differ from the hash that was published or noted for them
  'unresponsive', // a worker did nothing for so long that it was ended
  'diverged', // a training run whose loss is no number any more, or left what it had reached
  'internal', // a kernel failed validation or its self-test: a bug in Skipstone
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

/** An error with a stable `code` and a sentence that says what happened and what to do about it. */
export class SkipstoneError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'SkipstoneError'
    this.code = code
  }
}

/** Throws `aborted` where the caller's signal has fired; the signal's reason is kept as the cause. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new SkipstoneError('aborted', 'The caller aborted this call.', { cause: signal.reason })
}
