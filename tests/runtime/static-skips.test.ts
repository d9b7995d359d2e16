import { describe, expect, it } from 'vitest'
import { GREEDY } from '../../src/runtime/sampling.js'
import { dense } from '../../src/skip/dense.js'
import { skipgptPolicy } from '../../src/skip/skipgpt.js'
import { evaluate } from '../../src/study/evaluate.js'
import { randomIds, TINY_CONTEXT } from '../fixtures/tiny-model.js'
import {
  bits,
  constantRouters,
  describeRuntime,
  difference,
  expectLikeReference,
  generate,
  leftOut,
  reference,
  referenceBits,
  referenceRouting,
  TOLERANCE,
} from './support.js'

describeRuntime('sublayers that every token skips', (bench) => {
  const ids = randomIds(40, 31)

  it.each([
    ['an attention', [2], 1],
    ['an MLP', [3], 1.3],
    ['a whole layer', [2, 3], 0.8],
    ['neighbours across layers', [1, 2, 3, 4], 1.1],
    ['everything', [0, 1, 2, 3, 4, 5], 0.7],
  ])('%s', async (_, skipped, scale) => {
    await expectLikeReference(bench().sequence(leftOut({ skipped, scale })), reference(bench().tiny), ids, {
      execute: (sublayer) => !skipped.includes(sublayer),
      scale: () => scale,
    })
  })

  it('cost no dispatch', async () => {
    const count = async (skipped: number[], o: { scale?: number; phase?: 'decode' } = {}) => {
      const { decode, prefill } = await bench()
        .sequence(leftOut({ skipped, ...o }))
        .dispatchesPerLayer()
      return { decode: Math.round(3 * decode), prefill: Math.round(3 * prefill) }
    }
    // An attention has three in decode, seven in prefill, three of them for keys and values; an MLP two and three. On a CPU decoding has norms of its own,
    // and attention in two.
    const onCpu = bench().engine.gpu.isSoftware
    const [keysValues, attention, mlp] = onCpu ? [2, 5, 3] : [1, 3, 2]
    const all = 3 * (attention + mlp)
    const without = all - attention - 2 * mlp
    expect(await count([])).toEqual({ decode: all, prefill: 30 })
    expect(await count([2])).toEqual({ decode: all - attention, prefill: 23 })
    expect(await count([1, 2, 3])).toEqual({ decode: without, prefill: 17 })
    expect(await count([1, 2, 3], { scale: 1.5 })).toEqual({ decode: without + 3, prefill: 20 })
    expect(await count([1, 2, 3], { phase: 'decode' })).toEqual({ decode: without + keysValues, prefill: 30 })
    expect(await count([0, 1, 2, 3, 4, 5])).toEqual({ decode: 0, prefill: 0 })
  })

  describe('beside routers', () => {
    const skipped = [1, 4]
    const policy = () => leftOut({ skipped, otherwise: skipgptPolicy({ routers: bench().routers }) })

    it('leave the others to them', async () => {
      const { tiny } = bench()
      const { routers } = referenceRouting(tiny)
      // Where the reference leaves a sublayer out, its router says so.
      const never = { weight: new Array(32).fill(0), bias: -1 }
      const mixed = routers!.map((router, sublayer) => (skipped.includes(sublayer) ? never : router))
      await expectLikeReference(bench().sequence(policy()), reference(tiny), ids, { routers: mixed })
    })

    it('are 0 in the bits whatever routers said before, and those that run are 1', async () => {
      const all = bench().sequence(skipgptPolicy({ routers: constantRouters(1) }))
      await all.prefill(ids)
      all.usePolicy(policy())
      const left = bits((await all.prefill(ids)).records)
      expect(left.every((row) => row[1] === '0' && row[4] === '0')).toBe(true)
      expect(left.some((row) => row[0] === '1')).toBe(true)

      const none = bench().sequence(skipgptPolicy({ routers: constantRouters(-1) }))
      await none.prefill(ids)
      const routed = skipgptPolicy({ routers: bench().routers })
      none.usePolicy({ ...routed, name: 'some run', decide: (sublayer) => (sublayer < 3 ? 'run' : 'routed') })
      const rows = bits((await none.prefill(ids)).records)
      expect(rows.every((row) => row.startsWith('111'))).toBe(true)
      expect(rows.some((row) => row.includes('0'))).toBe(true)
    })
  })

  describe('in decode alone', () => {
    const skipped = [0, 3, 4]
    const policy = leftOut({ skipped, phase: 'decode' })

    it('have keys and values for what is fed later', async () => {
      const { tiny } = bench()
      const sequence = bench().sequence(policy)
      const first = await generate(sequence, ids, 10)
      const more = randomIds(7, 32).slice(1)
      const second = await sequence.prefill([first.tokens.at(-1)!, ...more], { sampling: GREEDY, logits: true })

      const model = reference(tiny)
      const decoded = (position: number) => position >= ids.length && position < ids.length + 9
      const execute = (sublayer: number, position: number) => !(decoded(position) && skipped.includes(sublayer))
      const fed = [...ids, ...first.tokens, ...more]
      const expected = model.forward(fed, { execute })
      expect(difference(second.logits!, expected.logits.slice(-100))).toBeLessThan(TOLERANCE)
      expect(bits([...first.records, ...second.records])).toEqual(referenceBits([expected]))
      // Not because it makes no difference.
      const without = model.forward(fed, { execute: () => true })
      expect(difference(second.logits!, without.logits.slice(-100))).toBeGreaterThan(50 * TOLERANCE)
    })

    it('count in the loss of a text', async () => {
      const text = [randomIds(30, 33)]
      const options = { contextLength: TINY_CONTEXT }
      const found = await evaluate(bench().engine, policy, text, options)
      const same = await evaluate(bench().engine, leftOut({ skipped }), text, options)
      expect(found).toEqual(same)
      expect(found.skip.total).toBe(0.5)
    })

    it('need a rule for their keys and values', async () => {
      const { keysValues: _, ...without } = policy
      const sequence = bench().sequence(without)
      await expect(sequence.prefill(ids)).rejects.toMatchObject({ code: 'internal' })
    })
  })

  it('are not left where another policy attends to them', async () => {
    const sequence = bench().sequence(leftOut({ skipped: [2] }))
    await sequence.prefill(ids)
    expect(sequence.lacks(leftOut({ skipped: [2, 4] }))).toBe(false)
    expect(sequence.lacks(dense)).toBe(true)
    expect(() => sequence.usePolicy(dense)).toThrow(expect.objectContaining({ code: 'internal' }))
    sequence.rewind(0)
    sequence.usePolicy(dense)
    await expectLikeReference(sequence, reference(bench().tiny), ids)
  })
})
