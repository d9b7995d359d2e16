import { expect, it } from 'vitest'
import { inspectModel, loadModel, type Session } from '../../src/index.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { pebbleSource } from '../fixtures/pebble.js'
import { generated } from '../sdk/support.js'

const PROMPT = 'The old man looked at the sea, and'
const OPTIONS = { maxTokens: 60, temperature: 0.7, seed: 3 }

describeWithGpu('Pebble within a GPU budget', (gpu) => {
  const routed = { routers: pebbleSource('skipgpt-40'), lora: pebbleSource('skipgpt-40', 'lora') }

  async function within<T>(gpuBudget: number, use: (session: (policy: string) => Session) => Promise<T>): Promise<T> {
    const model = await loadModel(pebbleSource(), { gpu: gpu(), gpuBudget, ...routed })
    try {
      return await use((policy) => model.createSession({ policy }))
    } finally {
      model.dispose()
    }
  }

  async function decoded(session: Session) {
    const { tokens } = await generated(session, PROMPT, OPTIONS)
    const { streaming, skip } = session.stats()
    session.dispose()
    const { bytes = 0, ...cost } = streaming?.decode ?? {}
    return { tokens, skip, streams: streaming !== undefined, perToken: bytes / (tokens.length - 1), cost }
  }

  it('gives the same tokens, and with 40 % skipped moves at most 0.7 of what streams where nothing is known', async () => {
    const all = (await inspectModel(pebbleSource())).memory.q8
    const whole = await within(2 * all, async (session) => ({
      dense: await decoded(session('dense')),
      skipgpt: await decoded(session('skipgpt')),
    }))
    expect(whole.dense.streams).toBe(false)
    for (const share of [0.5, 0.25]) {
      await within(share * all, async (session) => {
        const skipgpt = await decoded(session('skipgpt'))
        // Dense, all that has no place comes for every token, whatever has one.
        const dense = await decoded(session('dense'))
        expect(dense.tokens).toEqual(whole.dense.tokens)
        expect(skipgpt.tokens).toEqual(whole.skipgpt.tokens)
        expect(dense.perToken).toBeGreaterThan((1 - share) * all)
        expect(skipgpt.skip.total).toBeGreaterThan(0.35)
        console.info(
          `budget ${share}: ${Math.round(dense.perToken)} bytes per token dense, ${Math.round(skipgpt.perToken)} with ${skipgpt.skip.total.toFixed(3)} skipped`,
          skipgpt.cost,
        )
        expect(skipgpt.perToken).toBeLessThan(0.7 * dense.perToken)
      })
    }
  }, 1_800_000)
})
