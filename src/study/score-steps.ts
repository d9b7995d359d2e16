import { tokenLogprobs } from '../runtime/logprobs.js'
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
  const only = (id: number) => {
    const allowed = new Uint32Array(Math.ceil(vocabSize / 32))
    allowed[id >> 5] = 1 << (id & 31)
    return allowed
  }
  const nll = new Float32Array(ids.length - 1)
  sequence.rewind(0)
  const [first, next] = ids as [number, number]
  const begun = await sequence.prefill([first], { sampling: GREEDY, allowed: only(next), logits: true, signal })
  const records = begun.records
  let logits = begun.logits
  for (const [i, id] of ids.slice(1).entries()) {
    if (i > 0) {
      sequence.allow(only(id))
      const [step] = await (await sequence.decode(1, signal, { logits: true }))()
      logits = step?.logits
      records.push(step as StepRecord)
    }
    nll[i] = -tokenLogprobs(logits as Float32Array, id, 0).logprob
  }
  return { nll, records }
}
