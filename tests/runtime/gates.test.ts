import { describe, expect, it } from 'vitest'
import { inspectModel } from '../../src/index.js'
import type { StepRecord } from '../../src/runtime/records.js'
import { GREEDY } from '../../src/runtime/sampling.js'
import { Sequence } from '../../src/runtime/sequence.js'
import { dense } from '../../src/skip/dense.js'
import { dllm, readDllm } from '../../src/skip/dllm.js'
import { dlo, readDlo } from '../../src/skip/dlo.js'
import { flexidepth, readFlexiDepth } from '../../src/skip/flexidepth.js'
import { gateskip, readGateSkip } from '../../src/skip/gateskip.js'
import { mindskip, readMindSkip } from '../../src/skip/mindskip.js'
import type { SkipPolicy } from '../../src/skip/policy.js'
import { type Margins, quantile } from '../../src/skip/quantile.js'
import { dllmTensors, dloTensors, flexiDepthTensors, gateSkipTensors, mindSkipTensors } from '../fixtures/gates.js'
import { randomIds, TINY, TINY_CONTEXT, tinyModel } from '../fixtures/tiny-model.js'
import {
  dllmGates,
  dloGates,
  flexiDepthGates,
  gateSkipGates,
  gateSkipThreshold,
  mindSkipGates,
} from '../reference/gates.js'
import type { ForwardOptions, ReferenceGate } from '../reference/model.js'
import {
  bits,
  describeRuntime,
  difference,
  expectLikeReference,
  generate,
  reference,
  referenceBits,
  TOLERANCE,
  withModel,
} from './support.js'

interface Case {
  readonly policy: SkipPolicy
  /** The same, for the reference. */
  readonly forward: ForwardOptions
  readonly threshold: (sublayer: number) => number
  /** Tokens at the beginning that run whatever their gates say. */
  readonly initials?: number
}

const noMargins = () => Promise.reject(new Error('nothing to calibrate'))

async function gateSkipCase(options: Parameters<typeof gateSkipTensors>[1], kv?: 'below'): Promise<Case> {
  const tensors = gateSkipTensors(TINY, options)
  const policy = await gateskip(kv ? { kv } : {}, readGateSkip(tensors, TINY), noMargins)
  const threshold = (sublayer: number) => gateSkipThreshold(tensors, sublayer)
  return { policy, forward: { gates: gateSkipGates(tensors, threshold), ...(kv && { skipped: kv }) }, threshold }
}

function dloCase(layers: readonly number[], options: { threshold: number; factor: number; gap: number }): Case {
  const tensors = dloTensors(TINY, layers, 43)
  return {
    policy: dlo(options, readDlo(tensors, TINY)),
    forward: { gates: dloGates(tensors, options) },
    threshold: () => options.threshold,
  }
}

function mindSkipCase(form: 'token' | 'sequence'): Case {
  const tensors = mindSkipTensors(TINY, [0, 2], 49)
  return {
    policy: mindskip({ threshold: 0.5, form }, readMindSkip(tensors, TINY)),
    forward: { gates: mindSkipGates(tensors, form === 'sequence') },
    threshold: () => 0.5,
  }
}

function flexiDepthCase(
  layers: readonly number[],
  threshold: number,
  options: Parameters<typeof flexiDepthTensors>[3] & { readonly seed: number },
): Case {
  const tensors = flexiDepthTensors(TINY, layers, options.seed, options)
  const { config } = reference(tinyModel())
  return {
    policy: flexidepth({ threshold }, readFlexiDepth(tensors, TINY)),
    forward: { gates: flexiDepthGates(tensors, tinyModel().tensors, config.rmsNormEps, threshold) },
    threshold: () => threshold,
  }
}

function dllmCase(layers: readonly number[], threshold: number, seed: number): Case {
  const tensors = dllmTensors(TINY, layers, seed)
  const { config } = reference(tinyModel())
  const gates = dllmGates(tensors, config.rmsNormEps, threshold)
  return {
    policy: dllm({ threshold }, readDllm(tensors, TINY)),
    forward: { gates, skipped: 'hole' },
    threshold: () => threshold,
    initials: 2,
  }
}

/** One attention of three runs for this prompt, and another for that. */
const ONCE = mindSkipCase('sequence')

const CASES: Readonly<Record<string, Case>> = {
  'a gate per channel': await gateSkipCase({ form: 'vector', seed: 41 }),
  'a gate per sublayer': await gateSkipCase({ form: 'scalar', seed: 42 }),
  'gates of MLPs alone': await gateSkipCase({ form: 'vector', seed: 44, kinds: ['mlp'] }),
  'a router for every MLP': dloCase([0, 1, 2], { threshold: 0.5, factor: 2, gap: 0.05 }),
  'routers for some attentions': mindSkipCase('token'),
  'a router and an adapter for every layer': flexiDepthCase([0, 1, 2], 0.5, { seed: 58 }),
  'routers and adapters for some layers, with biases, in bf16': flexiDepthCase([0, 2], 0.45, {
    ...{ seed: 59, biases: true, bf16: true },
    ...{ units: 70, inner: 50 },
  }),
  'routers of whole layers, whose tokens leave holes': dllmCase([0, 1, 2], 0.5, 70),
  'routers of some layers, and another threshold': dllmCase([1, 2], 0.45, 71),
  'gates whose tokens keep keys and values of the layer below': await gateSkipCase(
    { form: 'vector', seed: 72 },
    'below',
  ),
  'routers for some MLPs, and another line': dloCase([0, 2], { threshold: 0.4, factor: 1.4, gap: 1.5 }),
}

const each = describe.each(Object.entries(CASES))
const marginsOf = (records: readonly StepRecord[]) => records.map((record) => [...record.margins!])

describeRuntime('gates', (bench, gpu) => {
  const ids = randomIds(40, 45)

  each('%s', (_, { policy, forward, threshold, initials = 0 }) => {
    it.each([1, 40, 600])('like the reference, behind a prompt of %i tokens', async (length) => {
      const prompt = randomIds(length, 46)
      await expectLikeReference(bench().sequence(policy), reference(bench().tiny), prompt, { ...forward, tokens: 20 })
    })

    it('skip some tokens, and run some', async () => {
      const { records } = await bench().sequence(policy).prefill(ids)
      const routed = bits(records).map((row) => [...row].filter((_, i) => policy.decide(i, 'prefill') === 'routed'))
      const share = routed.flat().filter((bit) => bit === '1').length / routed.flat().length
      expect(share).toBeGreaterThan(0.2)
      expect(share).toBeLessThan(0.8)
    })

    it('have the margins of the reference', async () => {
      const { records } = await bench().sequence(policy, { margins: true }).prefill(ids)
      const { z } = reference(bench().tiny).forward(ids, forward)
      const routed = z.map((_, i) => i).filter((i) => policy.decide(i, 'prefill') === 'routed')
      const scoreOf = (row: number, i: number) => (row < initials ? 1 : z[i]![row]!)
      const wanted = ids.flatMap((_, row) => routed.map((i) => scoreOf(row, i) - threshold(i)))
      const found = marginsOf(records).flatMap((row) => routed.map((i) => row[i]!))
      expect(difference(found, wanted)).toBeLessThan(1e-5)
    })

    it('decide the same of a token that is generated and of one that is read', async () => {
      const run = await generate(bench().sequence(policy), ids, 14)
      const fed = [...ids, ...run.tokens.slice(0, -1)]
      const { records } = await bench().sequence(policy).prefill(fed, { sampling: GREEDY })
      expect(bits(records)).toEqual(bits(run.records))
      expect(records.at(-1)!.token).toBe(run.tokens.at(-1))
    })

    it('go on behind a rewind as if nothing had been there', async () => {
      const sequence = bench().sequence(policy)
      const first = await generate(sequence, ids, 12)
      await generate(sequence, randomIds(9, 47), 12)
      sequence.rewind(0)
      expect(await generate(sequence, ids, 12)).toEqual(first)
    })

    it('go on in a copy as in what was copied', async () => {
      const sequence = bench().sequence(policy)
      const more = randomIds(9, 60).slice(1)
      await generate(sequence, ids, 6)
      const copy = sequence.clone()
      const copied = await generate(copy, more, 8)
      expect(await generate(sequence, more, 8)).toEqual(copied)
      copy.destroy()
    })

    it('read a prompt in parts', async () => {
      const whole = await bench().sequence(policy).prefill(ids, { sampling: GREEDY, logits: true })
      const parts = bench().sequence(policy)
      const first = await parts.prefill(ids.slice(0, 17))
      const second = await parts.prefill(ids.slice(17), { sampling: GREEDY, logits: true })
      expect(bits([...first.records, ...second.records])).toEqual(bits(whole.records))
      expect(difference(second.logits!, whole.logits!)).toBeLessThan(TOLERANCE)
    })

    it('give the same where everything is computed and what they skip is thrown away', async () => {
      const run = await generate(bench().sequence(policy), ids, 10)
      const masked = await generate(bench().sequence(policy, { masked: true }), ids, 10)
      expect(masked.tokens).toEqual(run.tokens)
      expect(bits(masked.records)).toEqual(bits(run.records))
      expect(difference(masked.logits, run.logits)).toBeLessThan(TOLERANCE)
    })

    it('take turns with other policies on what is in the cache', async () => {
      const sequence = bench().sequence(policy)
      const fed = await generate(sequence, ids, 5)
      // Who does not know of holes reads everything again.
      expect(sequence.lacks(dense)).toBe(policy.skipped === 'hole')
      if (sequence.lacks(dense)) return
      sequence.usePolicy(dense)
      const more = randomIds(6, 48)
      const { logits } = await sequence.prefill([fed.tokens.at(-1)!, ...more], { sampling: GREEDY, logits: true })
      const model = reference(bench().tiny)
      const cache = model.newCache()
      model.forward([...ids, ...fed.tokens.slice(0, -1)], forward, cache)
      const expected = model.forward([fed.tokens.at(-1)!, ...more], {}, cache)
      expect(difference(logits!, expected.logits.slice(-100))).toBeLessThan(TOLERANCE)
    })

    it('decide the same of weights that stream', async () => {
      const { tiny } = bench()
      const gpuBudget = 0.6 * (await inspectModel(tiny.source)).memory.f32
      const whole = await generate(bench().sequence(policy), ids, 10)
      const streamed = await withModel(gpu(), tiny, { gpuBudget }, async (engine) => {
        const sequence = new Sequence(engine, policy, { contextLength: TINY_CONTEXT })
        expect(sequence.streams).toBe(true)
        const run = await generate(sequence, ids, 10)
        expect(sequence.traffic.decode.bytes).toBeGreaterThan(0)
        sequence.destroy()
        return run
      })
      expect(streamed).toEqual(whole)
    })
  })

  describe('that measure prompts by their own quantile', () => {
    const tensors = gateSkipTensors(TINY, { form: 'vector', seed: 41 })
    const share = 0.3
    const gates = (sublayer: number): ReferenceGate | undefined => {
      const its = gateSkipGates(tensors, (i) => gateSkipThreshold(tensors, i))(sublayer)
      return its && { ...its, runsAmong: (score, all) => score > quantile([...all], share) }
    }
    // Thresholds of the file, as if they had been found.
    const margins: Margins = async (at) =>
      Array.from({ length: 2 * TINY.layers }, (_, i) => [gateSkipThreshold(tensors, i) - at.threshold(i)])
    const policyOf = (prefill: 'threshold' | 'quantile') =>
      gateskip({ skip: share, prefill }, readGateSkip(tensors, TINY), margins)

    it.each([1, 2, 40])('like the reference, behind a prompt of %i tokens', async (length) => {
      const sequence = bench().sequence(await policyOf('quantile'))
      const prompt = randomIds(length, 46)
      await expectLikeReference(sequence, reference(bench().tiny), prompt, { gates, tokens: 20 })
    })

    it('chunk by chunk', async () => {
      const prompt = randomIds(700, 57)
      const run = await bench()
        .sequence(await policyOf('quantile'))
        .prefill(prompt, { sampling: GREEDY, logits: true })
      const model = reference(bench().tiny)
      const cache = model.newCache()
      const [first, rest] = [prompt.slice(0, 512), prompt.slice(512)].map((ids) => model.forward(ids, { gates }, cache))
      expect(difference(run.logits!, rest!.logits.slice(-100))).toBeLessThan(TOLERANCE)
      expect(bits(run.records)).toEqual(referenceBits([first!, rest!]))
    })

    it('with the share that was asked for in every sublayer, and the margins to it', async () => {
      const quantiles = bench().sequence(await policyOf('quantile'), { margins: true })
      const { records } = await quantiles.prefill(ids)
      const { z } = reference(bench().tiny).forward(ids, { gates })
      for (let i = 0; i < 2 * TINY.layers; i++) {
        const margins = records.map((record) => record.margins![i]!)
        const expected = [...z[i]!].map((score) => score - quantile([...z[i]!], share))
        // A token that comes twice has the same score in both places at first.
        const skipped = Math.floor(share * (ids.length - 1)) + (i === 0 ? 2 : 1)
        expect(bits(records).filter((row) => row[i] === '0')).toHaveLength(skipped)
        expect(difference(margins, expected)).toBeLessThan(1e-5)
      }
      const { records: others } = await bench()
        .sequence(await policyOf('threshold'))
        .prefill(ids)
      expect(bits(others)).not.toEqual(bits(records))
    })
  })

  describe('that leave holes', () => {
    const { policy, forward } = dllmCase([0, 1, 2], 0.5, 70)

    it('tell which keys and values were made, and bring no weights for others', async () => {
      const { records } = await bench().sequence(policy).prefill(ids)
      const made = records.map(({ keysValues }) => keysValues.map((its) => (its ? '1' : '0')).join(''))
      expect(made).toEqual(bits(records).map((row) => `${row[0]}${row[2]}${row[4]}`))
      expect(new Set(made).size).toBeGreaterThan(2)
    })

    it('are followed on what another policy has read, and not the other way round', async () => {
      const sequence = bench().sequence(dense)
      await sequence.prefill(ids)
      expect(sequence.lacks(policy)).toBe(false)
      sequence.usePolicy(policy)
      const more = randomIds(20, 73)
      const { logits } = await sequence.prefill(more, { sampling: GREEDY, logits: true })
      const model = reference(bench().tiny)
      const cache = model.newCache()
      model.forward(ids, {}, cache)
      const expected = model.forward(more, forward, cache)
      expect(difference(logits!, expected.logits.slice(-100))).toBeLessThan(TOLERANCE)
      expect(() => sequence.usePolicy(dense)).toThrow(expect.objectContaining({ code: 'internal' }))
    })
  })

  describe('that decide once for a sequence', () => {
    const { policy, forward } = ONCE
    const prompts = [50, 51, 52, 53, 54, 55].map((seed) => randomIds(9, seed))
    const columns = async (sequence: Sequence, prompt: readonly number[], tokens = 8) => [
      ...new Set(bits((await generate(sequence, prompt, tokens)).records)),
    ]

    it.each([1, 40, 500])('like the reference, behind a prompt of %i tokens', async (length) => {
      const prompt = randomIds(length, 56)
      await expectLikeReference(bench().sequence(policy), reference(bench().tiny), prompt, { ...forward, tokens: 20 })
    })

    it('by what they were fed first, and for good', async () => {
      const seen = new Set<string>()
      for (const prompt of prompts) {
        const [column, ...others] = await columns(bench().sequence(policy), prompt)
        expect(others).toEqual([])
        seen.add(column!)
      }
      expect(seen.size).toBeGreaterThan(1)
    })

    it('anew behind a rewind to the beginning, and not behind another', async () => {
      const [first, other] = [prompts[0]!, await differing()]
      const sequence = bench().sequence(policy)
      const before = await columns(sequence, first)
      sequence.rewind(5)
      expect(await columns(sequence, other)).toEqual(before)
      sequence.rewind(0)
      expect(await columns(sequence, other)).not.toEqual(before)
    })

    /** A prompt for which they decide something else than for the first one. */
    async function differing(): Promise<readonly number[]> {
      const [first] = await columns(bench().sequence(policy), prompts[0]!)
      for (const prompt of prompts) if ((await columns(bench().sequence(policy), prompt))[0] !== first) return prompt
      throw new Error('every prompt gets the same')
    }

    it('go by the first chunk of a prompt of several', async () => {
      const prompt = randomIds(700, 57)
      const chunk = 512
      const run = await generate(bench().sequence(policy), prompt, 6)
      const model = reference(bench().tiny)
      const cache = model.newCache()
      const first = model.forward(prompt.slice(0, chunk), forward, cache)
      const rest = model.forward(prompt.slice(chunk), forward, cache)
      expect(difference(run.logits, rest.logits.slice(-100))).toBeLessThan(TOLERANCE)
      expect(bits(run.records).slice(0, prompt.length)).toEqual(referenceBits([first, rest]))
    })

    it('belong to the policy that decided', async () => {
      const sequence = bench().sequence(dense)
      await sequence.prefill(prompts[0]!)
      expect(sequence.lacks(policy)).toBe(true)
      expect(() => sequence.usePolicy(policy)).toThrow(expect.objectContaining({ code: 'internal' }))
      sequence.rewind(0)
      sequence.usePolicy(policy)
      await expectLikeReference(sequence, reference(bench().tiny), ids, forward)
      expect(sequence.lacks(dense)).toBe(false)
      expect(sequence.lacks(policy)).toBe(false)
    })

    it('go with a copy', async () => {
      const other = await differing()
      const sequence = bench().sequence(policy)
      const before = await columns(sequence, prompts[0]!)
      const copy = sequence.clone()
      expect(await columns(copy, other)).toEqual(before)
      copy.destroy()
    })

    it('decide the same of weights that stream', async () => {
      const { tiny } = bench()
      const gpuBudget = 0.6 * (await inspectModel(tiny.source)).memory.f32
      const whole = await generate(bench().sequence(policy), ids, 10)
      const streamed = await withModel(gpu(), tiny, { gpuBudget }, async (engine) => {
        const sequence = new Sequence(engine, policy, { contextLength: TINY_CONTEXT })
        const run = await generate(sequence, ids, 10)
        sequence.destroy()
        return run
      })
      expect(streamed).toEqual(whole)
    })
  })

  it('are uploaded once, whoever uses them', async () => {
    const { policy } = CASES['a gate per channel']!
    const { gpu, extras } = bench().engine
    await bench().sequence(policy).prefill(ids)
    const [count, bytes] = [extras.length, gpu.memory.bytes]
    expect(count).toBeGreaterThan(0)
    const another = bench().sequence({ ...policy, name: 'another', threshold: () => 0.6 })
    await another.prefill(ids)
    another.destroy()
    expect(extras.length).toBe(count)
    expect(gpu.memory.bytes).toBe(bytes)
  })
})
