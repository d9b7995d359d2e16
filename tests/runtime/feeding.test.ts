import { describe, expect, it } from 'vitest'
import { readPrompt } from '../../src/runtime/prompt-reader.js'
import type { StepRecord } from '../../src/runtime/records.js'
import { GREEDY } from '../../src/runtime/sampling.js'
import type { Sequence } from '../../src/runtime/sequence.js'
import { dense } from '../../src/skip/dense.js'
import { forced } from '../../src/skip/forced.js'
import type { SkipPolicy } from '../../src/skip/policy.js'
import { skipgptPolicy } from '../../src/skip/skipgpt.js'
import { randomIds } from '../fixtures/tiny-model.js'
import {
  type Bench,
  bits,
  describeRuntime,
  difference,
  expectLikeReference,
  generate,
  reference,
  referenceRouting,
  TOLERANCE,
} from './support.js'

const POLICIES: [string, (bench: Bench) => SkipPolicy][] = [
  ['dense', () => dense],
  ['routers', ({ routers }) => skipgptPolicy({ routers })],
  ['a forced mask', () => forced({ skip: 0.4, seed: 9 })],
]

/** Feeds the ids in parts and continues greedily. */
async function inParts(sequence: Sequence, parts: readonly (readonly number[])[], tokens: number) {
  const records: StepRecord[] = []
  for (const part of parts.slice(0, -1)) records.push(...(await sequence.prefill(part)).records)
  const run = await generate(sequence, parts.at(-1)!, tokens)
  return { ...run, records: [...records, ...run.records] }
}

function expectSame(actual: Awaited<ReturnType<typeof inParts>>, expected: Awaited<ReturnType<typeof inParts>>) {
  expect(difference(actual.logits, expected.logits)).toBeLessThan(TOLERANCE)
  expect(bits(actual.records)).toEqual(bits(expected.records))
  expect(actual.tokens).toEqual(expected.tokens)
}

describeRuntime('feeding a prompt', (bench) => {
  describe.each(POLICIES)('%s', (_, policyOf) => {
    it('gives the same in one go and token by token', async () => {
      const ids = randomIds(40, 3)
      const policy = policyOf(bench())
      const whole = await inParts(bench().sequence(policy), [ids], 12)
      const single = await inParts(
        bench().sequence(policy),
        ids.map((id) => [id]),
        12,
      )
      expectSame(single, whole)
    })

    it('gives the same for tokens that it fed to itself', async () => {
      const ids = randomIds(15, 4)
      const policy = policyOf(bench())
      const decoded = await inParts(bench().sequence(policy), [ids], 50)
      const replayed = await inParts(bench().sequence(policy), [[...ids, ...decoded.tokens.slice(0, 40)]], 10)
      expect(replayed.tokens).toEqual(decoded.tokens.slice(40))
      expect(bits(replayed.records)).toEqual(bits(decoded.records))
    })

    it('gives the same across the border of a chunk', async () => {
      const ids = randomIds(700, 5)
      const policy = policyOf(bench())
      const whole = await inParts(bench().sequence(policy), [ids], 8)
      const parts = (...lengths: number[]) => {
        let from = 0
        return lengths.map((length) => {
          from += length
          return ids.slice(from - length, from)
        })
      }
      expectSame(await inParts(bench().sequence(policy), parts(511, 1, 1, 187), 8), whole)
      expectSame(await inParts(bench().sequence(policy), parts(90, 513, 97), 8), whole)
    })
  })

  it('agrees with the reference over two chunks', async () => {
    const { tiny, routers } = bench()
    await expectLikeReference(bench().sequence(skipgptPolicy({ routers })), reference(tiny), randomIds(530, 6), {
      ...referenceRouting(tiny),
      tokens: 4,
    })
  })

  it('keeps its cache while that grows in the middle of decoding', async () => {
    const policy = skipgptPolicy({ routers: bench().routers })
    const ids = randomIds(250, 7)
    // A cache of its full size from the start.
    const large = bench().sequence(policy)
    await large.prefill(randomIds(1279, 8))
    large.rewind(0)
    const expected = await generate(large, ids, 800)
    const bytes = bench().engine.gpu.memory.bytes
    const growing = bench().sequence(policy)
    const run = await generate(growing, ids, 800)
    expect(bench().engine.gpu.memory.bytes).toBeGreaterThan(bytes)
    expect(run.tokens).toHaveLength(800)
    expect(run.tokens).toEqual(expected.tokens)
    expect(bits(run.records)).toEqual(bits(expected.records))
  })

  it('forgets what it is told to forget', async () => {
    const policy = skipgptPolicy({ routers: bench().routers })
    const sequence = bench().sequence(policy)
    const ids = randomIds(30, 9)
    await sequence.prefill([...ids.slice(0, 20), ...randomIds(40, 10)])
    sequence.rewind(20)
    expect(sequence.length).toBe(20)
    const run = await generate(sequence, ids.slice(20), 10)
    const fresh = await generate(bench().sequence(policy), ids, 10)
    expect(run.tokens).toEqual(fresh.tokens)
    expect(difference(run.logits, fresh.logits)).toBeLessThan(TOLERANCE)
  })

  it('fills its context to the last position and no further', async () => {
    const sequence = bench().sequence(dense, { contextLength: 24 })
    await sequence.prefill(randomIds(20))
    await expect(sequence.prefill(randomIds(5))).rejects.toMatchObject({ code: 'context-full' })
    await sequence.prefill(randomIds(4), { sampling: GREEDY })
    await expect(sequence.decode(1)).rejects.toMatchObject({ code: 'context-full' })
    expect(sequence.length).toBe(24)
  })

  it.each<[string, (sequence: Sequence, ids: readonly number[]) => Promise<unknown>]>([
    ['ids', (sequence, ids) => sequence.prefill(ids)],
    ['ids and how probable they are', (sequence, ids) => readPrompt(sequence, ids, 2, {})],
  ])('counts the bytes of what a destroyed sequence was still waiting for: %s', async (_, feed) => {
    const { memory } = bench().engine.gpu
    const before = memory.bytes
    // At every point where a call waits for pipelines, and while it waits for the GPU.
    for (let turns = 0; turns < 80; turns++) {
      const sequence = bench().sequence(forced({ skip: 0.3 }))
      const running = expect(feed(sequence, randomIds(600))).rejects.toMatchObject({ code: 'disposed' })
      for (let i = 0; i < turns; i++) await Promise.resolve()
      sequence.destroy()
      await running
      await expect(sequence.decode(1)).rejects.toMatchObject({ code: 'disposed' })
      expect(memory.bytes, `bytes after ${turns} turns`).toBe(before)
    }
  })
})
