import { describe, expect, it } from 'vitest'
import { randomIds } from '../fixtures/tiny-model.js'
import { describeSdk, expectError, generated } from './support.js'

const IDS = randomIds(15, 81)
const SPECULATIVE = 'speculative:draft=unified;speedup=1.5;form=even,length=3'

describeSdk.anywhere('self-speculation', (bench) => {
  const answer = async (policy: string, options: Parameters<typeof generated>[2] = {}) => {
    using session = bench().session({ policy })
    const result = await generated(session, IDS, { maxTokens: 40, ...options })
    return { ...result, tokens: result.end.tokens, trace: session.trace(), stats: session.stats() }
  }

  it('gives what the dense model gives, and tells what drafts came to', async () => {
    const expected = await answer('dense')
    expect(expected.stats.speculation).toBeUndefined()
    const { tokens, trace, stats } = await answer(SPECULATIVE)
    expect(tokens).toEqual(expected.tokens)
    expect(trace).toEqual(expected.trace)
    expect(stats.skip.total).toBe(0)
    const { rounds, proposed, accepted, verified, undrafted, draftMs, verifyMs } = stats.speculation!
    expect({ verified, undrafted, accepted: verified - rounds }).toEqual({ verified: 39, undrafted: 0, accepted })
    expect(proposed).toBeGreaterThan(accepted)
    expect(Math.min(draftMs, verifyMs)).toBeGreaterThan(0)
  })

  it('drafts by routers, by profile, and as costs say', async () => {
    const { tokens } = await answer('dense')
    for (const draft of ['skipgpt;delta=0.1', 'skipgpt', 'adaskip;skip=0.2', 'first;skip=0.5', 'layerskip;exit=2']) {
      const run = await answer(`speculative:draft=${draft}`)
      expect(run.tokens, draft).toEqual(tokens)
      expect(run.stats.speculation!.proposed).toBeGreaterThan(0)
    }
  })

  it('stops at a text, and where the loop ends', async () => {
    const expected = await answer('dense')
    const stop = expected.text.slice(9, 11)
    const stopped = await answer(SPECULATIVE, { stop })
    expect(stopped.end).toEqual((await answer('dense', { stop })).end)
    using session = bench().session({ policy: SPECULATIVE })
    for await (const step of session.generate(IDS, { temperature: 0, ignoreEos: true, maxTokens: 40 })) {
      if (step.kind === 'token' && session.tokens.length === IDS.length + 6) break
    }
    expect(session.tokens).toEqual([...IDS, ...expected.tokens.slice(0, 6)])
    // Nothing is left of drafts that nobody asked for.
    const { end } = await generated(session, [], { maxTokens: 20 })
    expect(end.tokens).toEqual(expected.tokens.slice(6, 26))
  })

  it('tells how probable tokens were', async () => {
    const expected = await answer('dense', { logprobs: 2 })
    for (const policy of [SPECULATIVE, 'speculative:draft=unified;speedup=1.5']) {
      const run = await answer(policy, { logprobs: 2 })
      for (const [i, step] of run.steps.entries()) {
        const other = expected.steps[i]!
        if (step.kind !== 'token' || other.kind !== 'token') continue
        expect(step.logprobs!.logprob).toBeCloseTo(other.logprobs!.logprob, 3)
        expect(step.logprobs!.top.map(({ token }) => token)).toEqual(other.logprobs!.top.map(({ token }) => token))
      }
    }
  })

  it.each([0, 0.9])('keeps to a format at temperature %f', async (temperature) => {
    const format = { regex: '[a-f]{3}-[g-k]{3}-[a-f]{9}' } as const
    const options = { format, temperature, ignoreEos: false } as const
    const expected = await answer('dense', options)
    for (const policy of [SPECULATIVE, 'speculative:draft=unified;speedup=1.5']) {
      const run = await answer(policy, options)
      expect(run.text).toMatch(/^[a-f]{3}-[g-k]{3}-[a-f]{9}$/)
      if (temperature === 0) expect(run.text).toBe(expected.text)
      expect(run.end.finishReason).toBe('stop')
    }
  })

  it('gives several answers at the same time', async () => {
    const expected = await answer('dense')
    const all = await Promise.all(
      [SPECULATIVE, 'dense', 'speculative:draft=first;skip=0.5'].map((policy) => answer(policy)),
    )
    for (const { tokens } of all) expect(tokens).toEqual(expected.tokens)
  })

  it('draws the same for the same seed and length', async () => {
    const options = { temperature: 0.7, seed: 5 }
    const { tokens } = await answer(SPECULATIVE, options)
    expect((await answer(SPECULATIVE, options)).tokens).toEqual(tokens)
    expect((await answer(SPECULATIVE, { ...options, seed: 6 })).tokens).not.toEqual(tokens)
  })

  it('evaluates a text as the dense model', async () => {
    const [speculative, dense] = [SPECULATIVE, 'dense'].map((policy) => bench().model.evaluate([IDS], { policy }))
    expect(await speculative).toEqual(await dense)
  })

  it('ends with an abort, and keeps what was delivered', async () => {
    const abort = new AbortController()
    using session = bench().session({ policy: SPECULATIVE })
    const generation = async () => {
      const options = { temperature: 0, ignoreEos: true, maxTokens: 40, signal: abort.signal }
      for await (const step of session.generate(IDS, options)) {
        if (step.kind === 'token' && session.tokens.length >= IDS.length + 5) abort.abort()
      }
    }
    await expectError(generation(), 'aborted')
    const { tokens } = await answer('dense')
    const kept = session.tokens.length - IDS.length
    expect(session.tokens).toEqual([...IDS, ...tokens.slice(0, kept)])
    const { end } = await generated(session, [], { maxTokens: 10 })
    expect(end.tokens).toEqual(tokens.slice(kept, kept + 10))
  })

  describe('is refused', () => {
    it.each([
      ['speculative', 'bad-option'],
      ['speculative:length=4', 'bad-option'],
      ['speculative:draft=4', 'bad-option'],
      ['speculative:draft=nothing', 'unknown-policy'],
      ['speculative:draft=unified;speed=2', 'bad-option'],
      ['speculative:draft=unified;speedup', 'bad-option'],
      ['speculative:draft=unified,speedup=2', 'bad-option'],
      ['speculative:draft=unified,length=0', 'bad-option'],
      ['speculative:draft=unified,length=2.5', 'bad-option'],
      ['speculative:draft=unified,length=long', 'bad-option'],
    ])('%s', async (policy, code) => {
      await expectError(() => bench().session({ policy }), code)
    })

    // What a model's weights have to be known for.
    it.each([
      'speculative:draft=dense',
      'speculative:draft=forced;skip=0',
      'speculative:draft=first;skip=0',
      'speculative:draft=layerskip;exit=3',
      'speculative:draft=layerskip;exit=4',
      'speculative:draft=adaskip;skip=0',
      'speculative:draft=speculative;draft=first',
      'speculative:draft=unified;speedup=1.5,length=17',
    ])('%s', async (policy) => {
      using session = bench().session({ policy })
      await expectError(generated(session, IDS, { maxTokens: 2 }), 'bad-option')
    })

    it('drafts of routers that are not there', async () => {
      const { model } = await bench().load({ checkpoint: { routers: undefined } })
      try {
        await expectError(
          () => model.createSession({ policy: 'speculative:draft=skipgpt;budget=0.4' }),
          'missing-weights',
        )
      } finally {
        model.dispose()
      }
    })
  })
})

describeSdk('self-speculation where weights do not fit', (bench) => {
  it('gives what the dense model gives', async () => {
    const { model } = await bench().load({ dtype: 'f32', gpuBudget: 2 ** 16 })
    try {
      const run = async (policy: string) => {
        const session = model.createSession({ policy })
        const { tokens } = await generated(session, IDS, { maxTokens: 20 })
        return { tokens, stats: session.stats() }
      }
      const expected = await run('dense')
      expect(expected.stats.streaming!.decode.bytes).toBeGreaterThan(0)
      for (const policy of [SPECULATIVE, 'speculative:draft=skipgpt', 'speculative:draft=first;skip=0.5,length=2']) {
        const { tokens, stats } = await run(policy)
        expect(tokens).toEqual(expected.tokens)
        expect(stats.speculation!.rounds).toBeGreaterThan(0)
      }
    } finally {
      model.dispose()
    }
  })
})
