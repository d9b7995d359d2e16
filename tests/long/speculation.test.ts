import { expect, it } from 'vitest'
import { loadModel, type Model, type Session } from '../../src/index.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { pebbleSource } from '../fixtures/pebble.js'

const PROMPTS = 50
const TOKENS = 200
/** Logits that differ by less are as good as equal: products of several rows and of one add up in another order. */
const TIE = 1e-4

describeWithGpu('self-speculation on Pebble', (gpu) => {
  it.each(['speculative:draft=skipgpt;budget=0.4,length=4', 'speculative:draft=unified;speedup=1.4'])(
    'gives the tokens of the dense model: %s',
    async (policy) => {
      const model = await loadModel(pebbleSource(), { gpu: gpu(), routers: pebbleSource('skipgpt-25') })
      const ties: string[] = []
      const [plain, drafted] = [model.createSession(), model.createSession({ policy })]
      const ms = { dense: 0, drafted: 0 }
      for (let prompt = 0; prompt < PROMPTS; prompt++) {
        const ids = await sampled(model, prompt)
        plain.rewind(0)
        ms.dense += await answer(plain, ids, TOKENS)
        const expected = plain.tokens.slice(ids.length)
        expect(expected).toHaveLength(TOKENS)
        drafted.rewind(0)
        let fed = ids
        for (let done = 0; done < TOKENS; ) {
          ms.drafted += await answer(drafted, fed, TOKENS - done)
          const tokens = drafted.tokens.slice(ids.length)
          const at = expected.findIndex((token, i) => token !== tokens[i])
          if (at < 0) break
          const gap = await gapAt(model, [...ids, ...expected.slice(0, at)], [expected[at]!, tokens[at]!])
          ties.push(`prompt ${prompt}, token ${at}: ${gap}`)
          expect(gap, ties.at(-1)!).toBeLessThan(TIE)
          // Behind a tie both go on from the dense token.
          drafted.rewind(ids.length + at)
          fed = [expected[at]!]
          done = at + 1
        }
      }
      console.log(policy, `${PROMPTS * TOKENS} tokens, ${ties.length} ties`, ties, ms, drafted.stats().speculation)
      model.dispose()
    },
    7_200_000,
  )
})

async function answer(session: Session, ids: readonly number[], maxTokens: number): Promise<number> {
  const started = performance.now()
  for await (const _ of session.generate(ids, { temperature: 0, ignoreEos: true, maxTokens }));
  return performance.now() - started
}

/** A beginning that the model makes up. */
async function sampled(model: Model, seed: number): Promise<readonly number[]> {
  using session = model.createSession()
  const options = { temperature: 1, seed, ignoreEos: true, maxTokens: 12 }
  for await (const _ of session.generate([model.config.bosTokenId ?? 1], options));
  return session.tokens
}

/** How far the dense model's logits of two tokens are apart. */
async function gapAt(model: Model, ids: readonly number[], [a, b]: readonly [number, number]): Promise<number> {
  using session = model.createSession()
  for await (const step of session.generate(ids, { logits: true, maxTokens: 1, temperature: 0 })) {
    if (step.kind === 'prompt') return Math.abs(step.logits![a]! - step.logits![b]!)
  }
  return Number.NaN
}
