import { generateTokens } from '../runtime/generate.js'
import type { StepRecord } from '../runtime/records.js'
import { GREEDY } from '../runtime/sampling.js'
import type { Sequence } from '../runtime/sequence.js'

/** As `Sequence.score`, in decode steps that may choose only the token that follows: what generating comes to, one step at a time. */
export async function scoreSteps(
  sequence: Sequence,
  ids: readonly number[],
  signal?: AbortSignal,
): Promise<{ nll: Float32Array; records: StepRecord[] }> {
  const { vocabSize } = sequence.engine.shape.config
  const nll = new Float32Array(ids.length - 1)
  const records: StepRecord[] = []
  const constraint = {
    mask: () => {
      const allowed = new Uint32Array(Math.ceil(vocabSize / 32))
      const next = ids[1 + records.length] as number
      allowed[next >> 5] = 1 << (next & 31)
      return allowed
    },
    accept: () => undefined,
  }
  sequence.rewind(0)
  const contextLength = ids.length
  const wanted = { sampling: GREEDY, maxTokens: nll.length, contextLength, seen: [], logprobs: 0, constraint, signal }
  for await (const event of generateTokens(sequence, ids.slice(0, 1), wanted)) {
    if (event.kind !== 'token') continue
    nll[records.length] = -(event.logprobs?.logprob as number)
    records.push(event.record)
  }
  return { nll, records }
}
