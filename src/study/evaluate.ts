import { SkipstoneError } from '../errors.js'
import type { Engine } from '../runtime/engine.js'
import { score } from '../runtime/score.js'
import { Sequence } from '../runtime/sequence.js'
import { type SkipRatios, Trace } from '../runtime/trace.js'
import type { SkipPolicy } from '../skip/policy.js'
import { asIn } from '../skip/static-skips.js'

export interface Evaluation {
  /** Predicted tokens. */
  tokens: number
  /** Mean negative log-likelihood per predicted token, in nats. */
  nll: number
  perplexity: number
  skip: SkipRatios
}

/** Cuts a text's ids into windows of `length` ids, each beginning with `bos`. */
export function windowsOf(ids: readonly number[], length: number, bos: number): number[][] {
  const windows: number[][] = []
  for (let first = 0; first < ids.length; first += length - 1)
    windows.push([bos, ...ids.slice(first, first + length - 1)])
  return windows
}

/**
 * Teacher-forced loss of a policy over windows of ids, each from an empty cache; token by token where activations have 8 bits, and where the policy watches
 * an answer's beginning. A policy that skips more in decode than in prefill is judged by what it does in decode: the text is one that it would have generated.
 * @throws `bad-option` where no window predicts anything.
 */
export async function evaluate(
  engine: Engine,
  policy: SkipPolicy,
  windows: readonly (readonly number[])[],
  options: {
    contextLength: number
    signal?: AbortSignal
    onProgress?: (done: number, all: number) => void
    /** Ids behind which nothing counts: what follows an end was not drawn from what is before it. */
    ends?: ReadonlySet<number>
  },
): Promise<Evaluation> {
  // Prompts are read in f32: of activations in 8 bits only decode steps tell something.
  const inDecode = engine.target.activations !== 'f32' || policy.watch
  const inSteps = inDecode ? await import('./score-steps.js') : undefined
  const sequence = new Sequence(engine, asIn('decode', policy), { contextLength: options.contextLength })
  const trace = new Trace(engine.shape.config.layers)
  let sum = 0
  let tokens = 0
  try {
    for (const [i, window] of windows.entries()) {
      if (window.length < 2) continue
      const { nll, records } = await (inSteps?.scoreSteps ?? score)(sequence, window, options.signal)
      const counted = nll.filter((_, at) => !options.ends?.has(window[at] as number))
      for (const value of counted) sum += value
      tokens += counted.length
      trace.push(...records)
      options.onProgress?.(i + 1, windows.length)
    }
  } finally {
    sequence.destroy()
  }
  if (tokens === 0) {
    throw new SkipstoneError('bad-option', 'There is nothing to predict: give windows of at least two ids.')
  }
  const nll = sum / tokens
  return { tokens, nll, perplexity: Math.exp(nll), skip: trace.ratios() }
}
