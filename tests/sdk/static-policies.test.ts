import { describe, expect, it } from 'vitest'
import { randomIds } from '../fixtures/tiny-model.js'
import { describeSdk, expectError, generated } from './support.js'

const IDS = randomIds(15, 81)

describeSdk.anywhere('policies that skip the same for every token', (bench) => {
  /** Distinct columns of the trace, attention and MLP of each layer in turn. */
  const ran = async (policy: string) => {
    using session = bench().session({ policy })
    const { tokens } = await generated(session, IDS, { maxTokens: 6 })
    const columns = session
      .trace()
      .steps.map(({ attention, mlp }) => [...attention].map((bit, layer) => `${bit}${mlp[layer]}`).join(' '))
    const { skip } = session.stats()
    return {
      tokens,
      prompt: [...new Set(columns.slice(0, IDS.length))],
      decode: [...new Set(columns.slice(IDS.length))],
      skip,
    }
  }

  it('first', async () => {
    const run = await ran('first:skip=0.5')
    expect(run).toMatchObject({ prompt: ['11 00 01'], decode: ['11 00 01'] })
    expect(run.skip.attention).toBeCloseTo(2 / 3, 12)
    expect(run.skip.mlp).toBeCloseTo(1 / 3, 12)
  })

  it('random', async () => {
    const run = await ran('random:skip=0.5,seed=2')
    expect(run.skip.total).toBe(0.5)
    expect(run.prompt).toEqual(run.decode)
    expect((await ran('random:skip=0.5,seed=3')).decode).not.toEqual(run.decode)
  })

  it('unified, in decode alone', async () => {
    const run = await ran('unified:speedup=1.5')
    expect(run).toMatchObject({ prompt: ['11 11 11'], decode: ['11 00 11'] })
    // Five of twenty positions that were fed.
    expect(run.skip.total).toBeCloseTo(((1 / 3) * 5) / 20, 12)
  })

  it('out of reach of this model', async () => {
    for (const policy of ['first:skip=0.9', 'unified:speedup=2']) {
      using session = bench().session({ policy })
      await expectError(generated(session, IDS, { maxTokens: 2 }), 'bad-option')
      await expectError(bench().model.evaluate([IDS], { policy }), 'bad-option')
    }
    await bench().stillWorks()
  })

  it('evaluates a text as if it were generated', async () => {
    const unified = await bench().model.evaluate([IDS], { policy: 'unified:speedup=1.5' })
    expect(unified.skip.byLayer).toEqual([0, 1, 0].map((share) => ({ attention: share, mlp: share })))
    const dense = await bench().model.evaluate([IDS])
    expect(Math.abs(unified.nll - dense.nll)).toBeGreaterThan(1e-3)
  })

  describe('left for a policy that attends to what they leave out', () => {
    it('reads the conversation again', async () => {
      using session = bench().session({ policy: 'first:skip=0.5' })
      await generated(session, IDS, { maxTokens: 6 })
      const before = [...session.tokens]
      await session.usePolicy('dense')
      expect(session.tokens).toEqual(before)
      expect(session.trace().steps).toEqual([])
      const { tokens, prompt } = await generated(session, [40, 41], { maxTokens: 6 })
      expect(prompt.position).toBe(0)
      using fresh = bench().session()
      expect(tokens).toEqual((await generated(fresh, [...before, 40, 41], { maxTokens: 6 })).tokens)
      expect(session.trace()).toEqual(fresh.trace())
    })

    it('waits for the end of an answer', async () => {
      using session = bench().session({ policy: 'first:skip=0.5' })
      const whole = (await generated(session, IDS, { maxTokens: 12 })).tokens
      session.rewind(0)
      const tokens: number[] = []
      for await (const step of session.generate(IDS, { temperature: 0, ignoreEos: true, maxTokens: 12 })) {
        if (step.kind !== 'token') continue
        tokens.push(step.token)
        if (tokens.length === 3) await expectError(session.usePolicy('dense'), 'busy')
        // It attends to less, and needs nothing that is not there.
        if (tokens.length === 12) await session.usePolicy('first:skip=0.67')
      }
      expect(tokens).toEqual(whole)
      expect((await generated(session, [40], { maxTokens: 1 })).prompt.position).toBeGreaterThan(0)
    })
  })
})
