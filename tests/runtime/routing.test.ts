import { describe, expect, it } from 'vitest'
import { linear } from '../../src/kernels/reference/linear.js'
import { rmsNorm } from '../../src/kernels/reference/rms-norm.js'
import { GREEDY } from '../../src/runtime/sampling.js'
import { Trace } from '../../src/runtime/trace.js'
import { dense } from '../../src/skip/dense.js'
import { forced } from '../../src/skip/forced.js'
import { skipgptPolicy } from '../../src/skip/skipgpt.js'
import { randomIds } from '../fixtures/tiny-model.js'
import type { ForwardOptions, ForwardResult, ReferenceModel } from '../reference/model.js'
import {
  type Bench,
  bits,
  constantRouters,
  describeRuntime,
  difference,
  expectLikeReference,
  generate,
  reference,
  referenceBits,
  referenceRouting,
  TOLERANCE,
} from './support.js'

describeRuntime('routing', (bench) => {
  const ids = randomIds(48, 21)

  describe('routers that always or never execute', () => {
    it('equal the dense model bit for bit', async () => {
      const expected = await generate(bench().sequence(dense), ids, 16)
      const run = await generate(bench().sequence(skipgptPolicy({ routers: constantRouters(1000) })), ids, 16)
      expect(run.tokens).toEqual(expected.tokens)
      expect(bits(run.records)).toEqual(bits(expected.records))
      expect([...new Set(bits(run.records))]).toEqual(['111111'])
      expect(run.logits).toEqual(expected.logits)
    })

    it('execute on an exact tie', async () => {
      const run = await generate(bench().sequence(skipgptPolicy({ routers: constantRouters(0.5), delta: 0.5 })), ids, 4)
      expect([...new Set(bits(run.records))]).toEqual(['111111'])
      // The bits are one reading of the margin, what runs in decode and in prefill two others.
      const expected = await generate(bench().sequence(dense), ids, 4)
      expect(run.tokens).toEqual(expected.tokens)
      expect(run.logits).toEqual(expected.logits)
    })

    it('equal embedding, norm and head', async () => {
      const run = await generate(bench().sequence(skipgptPolicy({ routers: constantRouters(-1000) })), ids, 16)
      expect([...new Set(bits(run.records))]).toEqual(['000000'])
      const { tensors } = bench().tiny
      const data = (name: string) => tensors.get(`${name}.weight`)!.data
      const fed = [ids.at(-1)!, ...run.tokens.slice(0, -1)]
      const chosen = fed.map((id, i) => {
        const x = data('model.embed_tokens').subarray(id * 32, (id + 1) * 32)
        const logits = linear(rmsNorm(x, data('model.norm'), 1e-5, 1, 32), data('lm_head'), 1, 32, 100)
        if (i === 0) expect(difference(run.logits, logits)).toBeLessThan(TOLERANCE)
        return logits.indexOf(Math.max(...logits))
      })
      expect(run.tokens).toEqual(chosen)
    })
  })

  describe.each([
    ['entry', 0],
    ['entry', 0.7],
    ['post-attention', -0.3],
  ] as const)('learned routers, %s, delta %d', (input, delta) => {
    it('decide as the reference does', async () => {
      const { tiny, routers } = bench()
      const sequence = bench().sequence(skipgptPolicy({ routers, delta, input }))
      const options: ForwardOptions = { ...referenceRouting(tiny), delta, mlpRouterInput: input }
      await expectLikeReference(sequence, reference(tiny), ids, { ...options, tokens: 24 })
    })
  })

  it('reports margins with delta subtracted', async () => {
    const { tiny, routers } = bench()
    const sequence = bench().sequence(skipgptPolicy({ routers, delta: 0.7 }), { margins: true })
    const { records } = await sequence.prefill(ids)
    const { z } = reference(tiny).forward(ids, { ...referenceRouting(tiny), delta: 0.7 })
    const margins = records.flatMap((r) => [...r.margins!])
    const expected = ids.flatMap((_, row) => z.map((sublayer) => sublayer[row]! - 0.7))
    expect(difference(margins, expected)).toBeLessThan(TOLERANCE)
  })

  describe('a mistake of the kinds that docs/skipgpt.md 9.4 lists would be seen', () => {
    const outcome = (steps: ForwardResult[]) => ({
      bits: referenceBits(steps),
      logits: steps.at(-1)!.logits.slice(-100),
    })
    const run = async ({ routers, sequence }: Bench) => {
      const { records, logits } = await sequence(skipgptPolicy({ routers })).prefill(ids, {
        logits: true,
        sampling: GREEDY,
      })
      return { bits: bits(records), logits: logits! }
    }

    const controls: [string, (model: ReferenceModel, right: ForwardOptions) => ForwardResult[]][] = [
      ['nothing wrong', (model, right) => [model.forward(ids, right)]],
      ['MLP router after attention', (m, right) => [m.forward(ids, { ...right, mlpRouterInput: 'post-attention' })]],
      [
        'logits swapped',
        (m, { routers }) => [
          m.forward(ids, {
            routers: routers!.map((r) => ({ weight: Array.from(r.weight, (w) => -w), bias: -r.bias })),
          }),
        ],
      ],
      [
        'normed router input',
        (m, right) => {
          const patched = m as unknown as { decide: (s: number, x: Float64Array, ...rest: unknown[]) => Uint8Array }
          const decide = patched.decide.bind(m)
          patched.decide = (s, x, ...rest) =>
            decide(s, rmsNorm(x, new Float32Array(32).fill(1), 1e-5, x.length / 32, 32), ...rest)
          return [m.forward(ids, right)]
        },
      ],
      [
        'keys and values of skipped tokens not written',
        (m, right) => {
          const cache = m.newCache()
          return ids.map((id) => {
            const step = m.forward([id], right, cache)
            for (let layer = 0; layer < 3; layer++) {
              if (step.execute[2 * layer]![0] === 1) continue
              for (const rows of [cache.keys[layer]!, cache.values[layer]!]) rows.fill(0, -16)
            }
            return step
          })
        },
      ],
      [
        'query positions renumbered',
        (m, right) => {
          const patched = m as unknown as { ropeTable: (positions: number[]) => Float64Array }
          const table = patched.ropeTable.bind(m)
          // Queries' tables have a row per active token; only they leave out positions.
          patched.ropeTable = (positions) => table(positions.map((_, i) => i))
          return [m.forward(ids, right)]
        },
      ],
    ]

    it.each(controls)('%s', async (name, wrong) => {
      const { tiny } = bench()
      const actual = await run(bench())
      const expected = outcome(wrong(reference(tiny), referenceRouting(tiny)))
      const off = difference(actual.logits, expected.logits)
      if (name !== 'nothing wrong') return expect(off).toBeGreaterThan(50 * TOLERANCE)
      expect(off).toBeLessThan(TOLERANCE)
      expect(actual.bits).toEqual(expected.bits)
    })
  })

  describe('forced masks', () => {
    it('are the same in prefill and decode, and for the same seed', async () => {
      const policy = forced({ skip: 0.35, seed: 77 })
      const decoded = await generate(bench().sequence(policy), ids.slice(0, 3), 60)
      const { records } = await bench().sequence(policy).prefill(randomIds(62, 5))
      expect(bits(decoded.records)).toEqual(bits(records))
      const other = await bench()
        .sequence(forced({ skip: 0.35, seed: 78 }))
        .prefill(randomIds(62, 5))
      expect(bits(other.records)).not.toEqual(bits(records))
    })

    it('skip nothing, everything, or about the share that is asked for', async () => {
      const expected = await generate(bench().sequence(dense), ids, 8)
      const none = await generate(bench().sequence(forced({ skip: 0 })), ids, 8)
      expect(none.tokens).toEqual(expected.tokens)
      expect(none.logits).toEqual(expected.logits)
      expect([...new Set(bits(none.records))]).toEqual(['111111'])
      const all = await generate(bench().sequence(forced({ skip: 1 })), ids, 8)
      expect([...new Set(bits(all.records))]).toEqual(['000000'])

      const n = 600
      for (const skip of [0.1, 0.5, 0.8]) {
        const { records } = await bench()
          .sequence(forced({ skip, seed: 3 }))
          .prefill(randomIds(n, 2))
        const trace = new Trace(3)
        trace.push(...records)
        const bound = 4 * Math.sqrt((skip * (1 - skip)) / n)
        for (const { attention, mlp } of trace.ratios().byLayer) {
          expect(Math.abs(attention - skip)).toBeLessThan(bound)
          expect(Math.abs(mlp - skip)).toBeLessThan(bound)
        }
      }
    })

    it('give what the reference gives for the same mask', async () => {
      const sequence = bench().sequence(forced({ skip: 0.5, seed: 4 }))
      const run = await generate(sequence, ids, 12)
      const mask = bits(run.records)
      const expected = reference(bench().tiny).greedy(ids, 12, { execute: (s, position) => mask[position]![s] === '1' })
      expect(run.tokens).toEqual(expected.tokens)
      expect(difference(run.logits, expected.steps[0]!.logits.slice(-100))).toBeLessThan(TOLERANCE)
    })
  })

  it('gives the same where skipped work is computed and thrown away', async () => {
    for (const policy of [skipgptPolicy({ routers: bench().routers }), forced({ skip: 0.5, seed: 6 })]) {
      const skipping = await generate(bench().sequence(policy), ids, 24)
      const masked = await generate(bench().sequence(policy, { masked: true }), ids, 24)
      expect(difference(masked.logits, skipping.logits)).toBeLessThan(1e-4)
      expect(bits(masked.records)).toEqual(bits(skipping.records))
      expect(masked.tokens).toEqual(skipping.tokens)
    }
  })

  it('needs eight dispatches a layer on a CPU, dense or not, and in a prompt one to list rows', async () => {
    const { routers } = bench()
    const perLayer = (sequence: ReturnType<Bench['sequence']>) => sequence.dispatchesPerLayer()
    expect(await perLayer(bench().sequence(dense))).toEqual({ decode: 8, prefill: 10 })
    expect(await perLayer(bench().sequence(skipgptPolicy({ routers })))).toEqual({ decode: 8, prefill: 11 })
    // Behind attention the MLP normalises the rows that run.
    const late = skipgptPolicy({ routers, input: 'post-attention' })
    expect(await perLayer(bench().sequence(late))).toEqual({ decode: 8, prefill: 13 })
  })

  it('counts ratios as the bits say', async () => {
    const { records } = await bench()
      .sequence(skipgptPolicy({ routers: bench().routers }))
      .prefill(ids)
    const trace = new Trace(3)
    trace.push(...records)
    const rows = bits(records)
    const share = (s: number, from = 0) =>
      rows.slice(from).filter((row) => row[s] === '0').length / (rows.length - from)
    const ratios = trace.ratios()
    expect(ratios.byLayer).toEqual([0, 2, 4].map((s) => ({ attention: share(s), mlp: share(s + 1) })))
    expect(ratios.attention).toBeCloseTo((share(0) + share(2) + share(4)) / 3, 12)
    expect(ratios.total).toBeCloseTo(rows.join('').replaceAll('1', '').length / (6 * rows.length), 12)
    expect(ratios.total).toBeGreaterThan(0.2)
    expect(trace.ratios(40).byLayer[1]!.mlp).toBe(share(3, 40))
    const file = trace.toFile(ids)
    expect(file.steps.map(({ attention, mlp }) => [...attention].map((a, i) => a + mlp[i]).join(''))).toEqual(rows)
    expect(file.steps.map(({ token }) => token)).toEqual(ids)
    expect(file.steps.map(({ position }) => position)).toEqual(ids.map((_, i) => i))
  })
})
