import { expect, it } from 'vitest'
import { describeSdk, expectError, generated } from './support.js'

describeSdk.anywhere('where the time goes', (bench) => {
  it('is told by kernel and by sublayer, beside a generation that it does not change', async () => {
    const { model } = bench()
    using alone = bench().session()
    const ids = [5, 6, 7, 8]
    const { tokens } = await generated(alone, ids, { maxTokens: 10 })
    const rounds: [number, number][] = []
    const onProgress = (done: number, all: number) => rounds.push([done, all])
    using session = bench().session()
    const [profile, text] = await Promise.all([
      model.profile({ tokens: 9, policy: 'forced:skip=0.5', onProgress }),
      generated(session, ids, { maxTokens: 10 }),
    ])
    expect(text.tokens).toEqual(tokens)
    expect(profile.sublayers.map(({ phase, tokens, ms }) => [phase, tokens, ms.length])).toEqual([
      ['prefill', 9, 2 * model.config.layers],
      ['decode', 9, 2 * model.config.layers],
    ])
    expect(profile.rows.some(({ kernel }) => kernel === 'forced-mask')).toBe(true)
    expect(rounds).toHaveLength(8)
    expect(rounds.every(([, all]) => all === 8)).toBe(true)
    await bench().stillWorks()
  })

  it.each([0, 1.5, 100_000])('is not of %s tokens', async (tokens) => {
    await expectError(bench().model.profile({ tokens }), 'bad-option')
  })

  it('can be aborted', async () => {
    await expectError(bench().model.profile({ signal: AbortSignal.abort() }), 'aborted')
    await expectError(bench().model.profile({ tokens: 9, signal: AbortSignal.abort() }), 'aborted')
  })
})
