import { describe, expect, it } from 'vitest'
import type { Engine } from '../../src/runtime/engine.js'
import { generateTokens } from '../../src/runtime/generate.js'
import type { GenerateTokensOptions } from '../../src/runtime/generation.js'
import { GREEDY, type Sampling } from '../../src/runtime/sampling.js'
import { Sequence } from '../../src/runtime/sequence.js'
import { distribution } from '../../src/runtime/speculation/distribution.js'
import { Spoken } from '../../src/runtime/speculation/spoken.js'
import { dense } from '../../src/skip/dense.js'
import { dllm, readDllm } from '../../src/skip/dllm.js'
import { forced } from '../../src/skip/forced.js'
import { layerskip } from '../../src/skip/layerskip.js'
import type { Drafts, SkipPolicy } from '../../src/skip/policy.js'
import { skipgptPolicy } from '../../src/skip/skipgpt.js'
import { speculative } from '../../src/skip/speculative.js'
import { unified } from '../../src/skip/unified.js'
import { dllmTensors } from '../fixtures/gates.js'
import { randomIds, TINY, TINY_CONTEXT, tinyModel } from '../fixtures/tiny-model.js'
import { bits, describeRuntime, difference, generate, leftOut, TOLERANCE, withModel } from './support.js'

const IDS = randomIds(9, 3)
/** Of a model with three layers. */
const drafted = (draft: SkipPolicy, length: Drafts['length'] = 3) => speculative({ draft, length, layers: 3 })
const EVICTING = dllm({ threshold: 0.5 }, readDllm(dllmTensors(TINY, [1, 2], 71), TINY))
const LAYER = leftOut({ skipped: [2, 3], phase: 'decode' })

describeRuntime('self-speculation', (bench) => {
  describe.each([
    ['lots', () => forced({ skip: 0.3, seed: 4 })],
    ['routers', () => skipgptPolicy({ routers: bench().routers, delta: 0.1 })],
    ['routers after attention', () => skipgptPolicy({ routers: bench().routers, input: 'post-attention' })],
    ['a layer less', () => unified({ speedup: 1.5, form: 'even', layers: 3 })],
    ['scaled sublayers less', () => leftOut({ skipped: [1, 2, 5], scale: 0.9 })],
    ['routers of layers, whose tokens leave holes', () => EVICTING],
    ['the first layer', () => layerskip({ skip: undefined, exit: 1, layers: 3 })],
    ['nothing but the embedding', () => leftOut({ skipped: [0, 1, 2, 3, 4, 5] })],
  ])('drafts by %s', (_, draft) => {
    it.each([1, 4, 16, 'adaptive'] as const)('give what the dense model gives, %s at a time', async (length) => {
      const sequence = bench().sequence(drafted(draft(), length))
      const expected = await generate(bench().sequence(dense), IDS, 70)
      const run = await generate(sequence, IDS, 70)
      expect(run.tokens).toEqual(expected.tokens)
      expect(bits(run.records)).toEqual(bits(expected.records))
      const { proposed, accepted, rounds, verified, undrafted } = sequence.speculation!
      expect(verified + undrafted).toBe(69)
      expect(verified).toBe(accepted + rounds)
      expect(rounds).toBeGreaterThan(0)
      if (length !== 'adaptive') expect(proposed).toBeLessThanOrEqual(length * rounds)
    })
  })

  it('keeps the keys and values of the dense model', async () => {
    const more = randomIds(5, 8)
    const after = async (sequence: Sequence) => {
      const { tokens } = await generate(sequence, IDS, 30)
      const { logits } = await sequence.prefill([tokens.at(-1)!, ...more], { sampling: GREEDY, logits: true })
      return logits!
    }
    const expected = await after(bench().sequence(dense))
    for (const length of [3, 'adaptive'] as const) {
      expect(difference(await after(bench().sequence(drafted(LAYER, length))), expected)).toBeLessThan(TOLERANCE)
    }
  })

  it('goes on in a second answer, and counts on', async () => {
    const [sequence, plain] = [bench().sequence(drafted(LAYER)), bench().sequence(dense)]
    for (const ids of [IDS, randomIds(4, 5), randomIds(20, 6)]) {
      expect((await generate(sequence, ids, 20)).tokens).toEqual((await generate(plain, ids, 20)).tokens)
    }
    expect(sequence.speculation!.verified).toBe(3 * 19)
    expect(sequence.policy.name).toBe(
      'speculative:draft=left-out;{"skipped":[2;3];"phase":"decode";"otherwise":"dense"},length=3',
    )
  })

  it.each<[string, Partial<Sampling>]>([
    ['repetition', { repetitionPenalty: 1.5 }],
    ['presence and frequency', { presencePenalty: 0.5, frequencyPenalty: 0.3 }],
    ['biases', { logitBias: { 7: 2, 8: -100 } }],
    ['all of them', { repetitionPenalty: 0.9, presencePenalty: -0.4, frequencyPenalty: 0.2, logitBias: { 20: 1 } }],
  ])('penalises as without drafts: %s', async (_, sampling) => {
    const plain = await generate(bench().sequence(dense), IDS, 60)
    const expected = await generate(bench().sequence(dense), IDS, 60, sampling)
    expect(expected.tokens).not.toEqual(plain.tokens)
    for (const length of [1, 4, 'adaptive'] as const) {
      // Drafts that know the penalties too are accepted.
      const sequence = bench().sequence(drafted(leftOut({ skipped: [3] }), length))
      expect((await generate(sequence, IDS, 60, sampling)).tokens).toEqual(expected.tokens)
    }
  })

  it('accepts every draft of a policy that leaves out what does nothing', async () => {
    // The sampler's state on the GPU follows what was accepted: otherwise drafts would be penalised differently.
    const nothing = leftOut({ skipped: [], otherwise: forced({ skip: 1e-9, seed: 1 }) })
    const sampling = { repetitionPenalty: 1.3, presencePenalty: 0.5, frequencyPenalty: 0.3 }
    for (const temperature of [0, 0.8]) {
      const sequence = bench().sequence(drafted(nothing, 4))
      await generate(sequence, IDS, 61, { ...sampling, temperature })
      expect(sequence.speculation).toMatchObject({ rounds: 12, proposed: 48, accepted: 48 })
    }
  })

  it('ends at a stop token, wherever it is in a draft', async () => {
    const { tokens } = await generate(bench().sequence(dense), IDS, 40)
    for (const at of [1, 2, 3, 4, 5, 20]) {
      const stopIds = [tokens[at]!]
      const expected = await generate(bench().sequence(dense), IDS, 40, { stopIds })
      const sequence = bench().sequence(drafted(leftOut({ skipped: [3] }), 4))
      const run = await generate(sequence, IDS, 40, { stopIds })
      expect(run).toMatchObject({ tokens: expected.tokens, stopped: true })
      expect(sequence.length).toBe(IDS.length + expected.tokens.length)
    }
  })

  it('fills the context to its end', async () => {
    for (const contextLength of [10, 11, 12, 13, 23]) {
      const run = async (policy: SkipPolicy) => {
        const sequence = bench().sequence(policy, { contextLength })
        return { events: await events(sequence, { contextLength }), length: sequence.length }
      }
      const expected = await run(dense)
      expect(expected.length).toBe(contextLength)
      expect(await run(drafted(LAYER, 5))).toEqual(expected)
    }
  })

  it('ends with an abort, and goes on after it', async () => {
    const abort = new AbortController()
    const sequence = bench().sequence(drafted(LAYER))
    const got: number[] = []
    const generation = generateTokens(sequence, IDS, { ...OPTIONS, signal: abort.signal })
    const all = (async () => {
      for await (const event of generation) {
        if (event.kind === 'token') got.push(event.token)
        if (got.length === 6) abort.abort()
      }
    })()
    await expect(all).rejects.toMatchObject({ code: 'aborted' })
    const expected = await generate(bench().sequence(dense), IDS, 20)
    expect(got).toEqual(expected.tokens.slice(0, 6))
    sequence.rewind(IDS.length + 3)
    const [, , , fourth] = expected.tokens
    expect((await generate(sequence, [fourth!], 8)).tokens).toEqual(expected.tokens.slice(4, 12))
  })

  it('leaves nothing on the GPU', async () => {
    const { memory } = bench().engine.gpu
    const before = memory.bytes
    const sequence = bench().sequence(drafted(LAYER))
    const generation = generateTokens(sequence, IDS, { ...OPTIONS, sampling: { ...GREEDY, temperature: 1 } })
    for await (const event of generation) if (event.kind === 'token' && sequence.speculation?.rounds === 3) break
    sequence.destroy()
    expect(memory.bytes).toBe(before)
  })

  it('follows a change of policy in the midst of an answer', async () => {
    const sequence = bench().sequence(drafted(LAYER))
    const plain = bench().sequence(dense)
    const policies = [leftOut({ skipped: [3] }), dense]
    const run = async (of: Sequence) => {
      const tokens: number[] = []
      for await (const event of generateTokens(of, IDS, { ...OPTIONS, maxTokens: 40, stepsPerSubmit: 1 })) {
        if (event.kind === 'token') tokens.push(event.token)
        if (tokens.length === 9 && policies[0]) of.usePolicy(policies[0])
      }
      return tokens
    }
    const tokens = await run(sequence)
    expect(sequence.policy).toBe(policies[0])
    expect(tokens).toHaveLength(40)
    // Where the change takes effect depends on how far the GPU is ahead.
    const before = (await run(plain)).slice(0, 9)
    expect(tokens.slice(0, 9)).toEqual(before)
    const rounds = sequence.speculation!.rounds
    sequence.usePolicy(dense)
    await generate(sequence, [40], 5)
    expect(sequence.speculation!.rounds).toBe(rounds)
  })
})

const OPTIONS: GenerateTokensOptions = { sampling: GREEDY, maxTokens: 100, contextLength: TINY_CONTEXT, seen: [] }

async function events(sequence: Sequence, options: Partial<GenerateTokensOptions>): Promise<(number | string)[]> {
  const all: (number | string)[] = []
  for await (const event of generateTokens(sequence, IDS, { ...OPTIONS, ...options })) {
    all.push(event.kind === 'token' ? event.token : event.kind)
  }
  return all
}

describeRuntime('sampling with drafts', (_, gpu) => {
  const VOCAB = 8
  const PROMPT = [1, 5, 3]
  const tiny = tinyModel({ vocabSize: VOCAB, tokenizer: false, seed: 21 })

  it.each<[string, Partial<Sampling>, Drafts['length'], number]>([
    ['plain', { temperature: 2 }, 2, 500],
    [
      'filters and penalties',
      { temperature: 1.5, topK: 6, topP: 0.95, minP: 0.02, repetitionPenalty: 1.2, presencePenalty: 0.3 },
      3,
      800,
    ],
  ])('has the distribution of the dense model: %s', async (_, settings, length, samples) => {
    await withModel(gpu(), tiny, {}, async (engine) => {
      const sampling: Sampling = { ...GREEDY, ...settings }
      const sequence = new Sequence(engine, drafted(forced({ skip: 0.4, seed: 2 }), length), { contextLength: 64 })
      const drawn: number[][] = []
      for (let seed = 0; seed < samples; seed++) {
        sequence.rewind(0)
        const options = { ...OPTIONS, sampling: { ...sampling, seed }, maxTokens: 4 }
        const tokens: number[] = []
        for await (const event of generateTokens(sequence, PROMPT, options))
          if (event.kind === 'token') tokens.push(event.token)
        drawn.push(tokens)
      }
      const { accepted, proposed } = sequence.speculation!
      sequence.destroy()
      // Some are refused, and some are not.
      expect(accepted / proposed).toBeGreaterThan(0.2)
      expect(accepted / proposed).toBeLessThan(0.95)
      const shares = await exactShares(engine, sampling)
      // The first token is the prompt's own; those behind it come of drafts.
      for (const places of [
        [0, 1],
        [1, 2],
        [2, 3],
        [1, 3],
      ]) {
        const key = (tokens: readonly number[]) => places.map((place) => tokens[place]).join()
        const counts = new Map<string, number>()
        for (const tokens of drawn) counts.set(key(tokens), (counts.get(key(tokens)) ?? 0) + 1)
        const expected = new Map<string, number>()
        for (const [tokens, share] of shares) expected.set(key(tokens), (expected.get(key(tokens)) ?? 0) + share)
        for (const outcome of counts.keys()) expect(expected.has(outcome), outcome).toBe(true)
        expect(chiSquare(counts, expected, samples), `places ${places}`).toBeLessThan(3.1)
      }
    })
  })

  /** How probable every answer of four tokens is, by the dense model's logits. */
  async function exactShares(engine: Engine, sampling: Sampling): Promise<(readonly [readonly number[], number])[]> {
    const sequence = new Sequence(engine, dense, { contextLength: 64 })
    let shares: (readonly [readonly number[], number])[] = [[[], 1]]
    for (let step = 0; step < 4; step++) {
      const longer: typeof shares = []
      for (const [before, share] of shares) {
        sequence.rewind(0)
        const { logits } = await sequence.prefill([...PROMPT, ...before], { sampling: GREEDY, logits: true })
        const spoken = new Spoken(sampling, VOCAB, PROMPT)
        for (const token of before) spoken.add(token)
        for (const [token, p] of distribution(logits!, spoken.choice(undefined)).entries()) {
          if (p > 0) longer.push([[...before, token], share * p])
        }
      }
      shares = longer
    }
    sequence.destroy()
    return shares
  }
})

/** How far counts are from what shares lead to, in standard deviations; rare outcomes are taken together. */
function chiSquare(counts: ReadonlyMap<string, number>, shares: ReadonlyMap<string, number>, samples: number): number {
  const cells = [...shares].map(([key, share]) => ({ expected: share * samples, counted: counts.get(key) ?? 0 }))
  const rare = { expected: 0, counted: 0 }
  const usual = cells.filter(({ expected, counted }) => {
    if (expected >= 8) return true
    rare.expected += expected
    rare.counted += counted
    return false
  })
  const all = rare.expected >= 8 ? [...usual, rare] : usual
  const sum = all.reduce((total, { expected, counted }) => total + (counted - expected) ** 2 / expected, 0)
  const freedom = all.length - 1
  expect(freedom).toBeGreaterThan(8)
  // Wilson and Hilferty: its cube root is close to normal.
  const spread = 2 / (9 * freedom)
  return ((sum / freedom) ** (1 / 3) - (1 - spread)) / Math.sqrt(spread)
}
