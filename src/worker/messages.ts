import type { WireError } from './wire-error.js'

/**
 * What crosses a channel, either way. A call has one `result` or `error`, and before it any number of `event`s. A stream is a call
 * whose events are asked for one at a time with `pull`, so that nothing runs ahead of its reader; `cancel` ends it early.
 * A `note` has no answer. Messages arrive in the order in which they were sent.
 */
export type Message =
  | { readonly kind: 'call'; readonly id: number; readonly method: string; readonly args: unknown }
  | { readonly kind: 'pull' | 'cancel' | 'abort'; readonly id: number }
  | { readonly kind: 'event'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: WireError }
  | { readonly kind: 'note'; readonly method: string; readonly args: unknown }
