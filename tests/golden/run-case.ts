import type { Model, PolicyRequest } from '../../src/index.js'
import type { Outcome } from './compare.js'

export interface Case {
  ids: readonly number[]
  policy: PolicyRequest
  /** Tokens to generate, greedily and past stop tokens. */
  tokens: number
  /** Also the teacher-forced loss of the prompt. */
  nll: boolean
}

/** Runs one case through the public surface; works in Node and in browsers. */
export async function runCase(model: Model, o: Case): Promise<Outcome> {
  const session = model.createSession({ policy: o.policy, margins: true })
  let logits: number[] = []
  const greedy: number[] = []
  const options = { maxTokens: o.tokens, ignoreEos: true, temperature: 0, logits: true }
  for await (const step of session.generate(o.ids, options)) {
    if (step.kind === 'prompt') logits = Array.from(step.logits ?? [])
    if (step.kind === 'token') greedy.push(step.token)
  }
  const { steps } = session.trace()
  session.dispose()
  const outcome: Outcome = { logits, greedy }
  if (o.nll && o.ids.length > 1) outcome.meanNll = (await model.evaluate([o.ids], { policy: o.policy })).nll
  if (o.policy.name === 'dense') return outcome

  const layers = Array.from({ length: model.config.layers }, (_, i) => i)
  const parts = { prefill: steps.slice(0, o.ids.length), decode: steps.slice(o.ids.length) }
  const bits = (part: typeof steps) => ({
    attention: layers.map((l) => part.map((s) => s.attention[l]).join('')),
    mlp: layers.map((l) => part.map((s) => s.mlp[l]).join('')),
  })
  const margins = (part: typeof steps) =>
    layers.flatMap((l) => [
      ...part.map((s) => s.marginAttention?.[l] ?? Number.NaN),
      ...part.map((s) => s.marginMlp?.[l] ?? Number.NaN),
    ])
  return {
    ...outcome,
    prefillExecute: bits(parts.prefill),
    decodeExecute: bits(parts.decode),
    marginsPrefill: margins(parts.prefill),
    marginsDecode: margins(parts.decode),
  }
}
