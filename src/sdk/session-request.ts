import { SkipstoneError } from '../errors.js'
import type { ModelConfig } from '../model/config.js'
import { checkPolicy, checkRouters, type PolicyRequest } from '../skip/registry.js'
import type { SessionOptions } from './options.js'
import { checkOverflow, type Overflow } from './overflow.js'
import { policy as policyFromText } from './policies.js'

/** What a session is made of, checked. */
export interface SessionParts {
  readonly request: PolicyRequest
  readonly contextLength: number
  readonly margins: boolean
  readonly overflow: Overflow
}

/** What a model's sessions can be, wherever the model runs. */
export interface SessionLimits {
  readonly config: ModelConfig
  readonly hasRouters: boolean
}

/** @throws `unknown-policy`, `unsupported`, `bad-option`, `missing-weights` (a policy without its routers). */
export function sessionParts(options: SessionOptions, limits: SessionLimits): SessionParts {
  const request = policyRequest(options.policy, limits)
  const most = limits.config.contextLength
  const contextLength = options.contextLength ?? most
  if (!Number.isInteger(contextLength) || contextLength < 1 || contextLength > most) {
    throw new SkipstoneError(
      'bad-option',
      `contextLength must be a whole number from 1 to ${most}, not ${contextLength}.`,
    )
  }
  return { request, contextLength, margins: options.margins ?? false, overflow: checkOverflow(options.overflow) }
}

/** The policy that is asked for; dense where none is. @throws as `sessionParts`. */
export function policyRequest(
  policy: PolicyRequest | string | undefined = 'dense',
  { hasRouters }: Pick<SessionLimits, 'hasRouters'>,
): PolicyRequest {
  const checked = typeof policy === 'string' ? policyFromText(policy) : checkPolicy(policy)
  checkRouters(checked, hasRouters)
  return checked
}

/** @throws `bad-option` for what is no number of tokens. */
export function checkRewind(length: number): void {
  if (Number.isInteger(length) && length >= 0) return
  throw new SkipstoneError('bad-option', `rewind takes a whole number of tokens, not ${length}.`)
}

export function busy(): SkipstoneError {
  return new SkipstoneError('busy', 'This session is generating: wait for it, abort it, or create another session.')
}

export function busyReading(policy: string): SkipstoneError {
  return new SkipstoneError(
    'busy',
    `This session is generating, and ${policy} attends to what its present policy leaves out: change policies when it is done.`,
  )
}

export function sessionDisposed(): SkipstoneError {
  return new SkipstoneError('disposed', 'This session was disposed of: create another one on the model.')
}

export function modelDisposed(): SkipstoneError {
  return new SkipstoneError('disposed', 'This model was disposed of: load it again.')
}
