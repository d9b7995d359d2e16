import { describe, expect, it } from 'vitest'
import { generateTokens } from '../../src/runtime/generate.js'
import { GREEDY } from '../../src/runtime/sampling.js'
import { forced } from '../../src/skip/forced.js'
import { skipgptPolicy } from '../../src/skip/skipgpt.js'
import { randomIds, TINY_CONTEXT } from '../fixtures/tiny-model.js'
import { bits, describeRuntime, generate } from './support.js'

describeRuntime('steps per submit', (bench) => {
  const ids = randomIds(20, 31)

  describe.each([
    ['routers', () => skipgptPolicy({ routers: bench().routers })],
    ['a forced mask', () => forced({ skip: 0.3 })],
  ] as const)('%s', (_, policy) => {
    it('does not change tokens and bits', async () => {
      const one = await generate(bench().sequence(policy()), ids, 50, { stepsPerSubmit: 1 })
      expect(one.tokens).toHaveLength(50)
      for (const stepsPerSubmit of [3, 8, 16, undefined]) {
        const run = await generate(bench().sequence(policy()), ids, 50, { stepsPerSubmit })
        expect(run.tokens).toEqual(one.tokens)
        expect(bits(run.records)).toEqual(bits(one.records))
      }
    })

    it('stops at a stop token in the middle of a submit', async () => {
      const free = await generate(bench().sequence(policy()), ids, 50)
      const at = free.tokens.findIndex((token, i) => i >= 18 && free.tokens.indexOf(token) === i)
      expect(at).toBeGreaterThan(17)
      const stopIds = [999, free.tokens[at]!]
      for (const stepsPerSubmit of [1, 3, 8, 16]) {
        const sequence = bench().sequence(policy())
        const run = await generate(sequence, ids, 50, { stepsPerSubmit, stopIds })
        expect(run.stopped).toBe(true)
        expect(run.tokens).toEqual(free.tokens.slice(0, at))
        expect(bits(run.records)).toEqual(bits(free.records.slice(0, ids.length + at)))
        // The rest of the submit did nothing that a rewound sequence could notice.
        sequence.rewind(ids.length + at)
        const rest = await generate(sequence, [free.tokens[at]!], 20)
        expect(rest.tokens).toEqual(free.tokens.slice(at + 1, at + 21))
      }
    })
  })

  it('stops at once where the first token is a stop token', async () => {
    const policy = forced({ skip: 0.3 })
    const [first] = (await generate(bench().sequence(policy), ids, 1)).tokens
    const run = await generate(bench().sequence(policy), ids, 50, { stopIds: [first!] })
    expect(run).toMatchObject({ tokens: [], stopped: true })
    expect(run.records).toHaveLength(ids.length)
  })

  it('records no token behind a stop token', async () => {
    const policy = forced({ skip: 0.3 })
    const free = await generate(bench().sequence(policy), ids, 3)
    const sequence = bench().sequence(policy)
    await sequence.prefill(ids, { sampling: { ...GREEDY, stopIds: [free.tokens[1]!] } })
    const records = await (await sequence.decode(5))()
    expect(records.map(({ token }) => token)).toEqual([free.tokens[1], undefined, undefined, undefined, undefined])
  })

  it('asks for no more steps than the ring has records', async () => {
    const policy = forced({ skip: 0.3 })
    const expected = await generate(bench().sequence(policy), ids, 700)
    const run = await generate(bench().sequence(policy), ids, 700, { stepsPerSubmit: 650 })
    expect(run.tokens).toEqual(expected.tokens)
  })

  it('keeps two sequences apart that run at the same time', async () => {
    const policy = skipgptPolicy({ routers: bench().routers })
    const prompts = [randomIds(600, 1), randomIds(9, 2)]
    const alone = []
    for (const prompt of prompts) alone.push(await generate(bench().sequence(policy), prompt, 60))
    const together = await Promise.all(prompts.map((prompt) => generate(bench().sequence(policy), prompt, 60)))
    expect(together.map(({ tokens }) => tokens)).toEqual(alone.map(({ tokens }) => tokens))
    expect(together.map(({ records }) => bits(records))).toEqual(alone.map(({ records }) => bits(records)))
  })

  it('waits for the GPU once per submit', async () => {
    const sequence = bench().sequence(forced({ skip: 0.3 }))
    const { counters } = bench().engine
    const submits = counters.submits
    await generate(sequence, ids, 33, { stepsPerSubmit: 8 })
    // The prompt's chunk, and 32 further tokens.
    expect(counters.submits - submits).toBe(1 + 4)
    expect(sequence.waits).toBe(2 + 4)
  })

  it('gives back what an abort left behind', async () => {
    const { counters, gpu } = bench().engine
    const sequence = bench().sequence(forced({ skip: 0.3 }))
    const round = async () => {
      // After the first of three chunks.
      sequence.rewind(0)
      const controller = new AbortController()
      const { submits } = counters
      const running = expect(sequence.prefill(randomIds(1200), { signal: controller.signal })).rejects.toMatchObject({
        code: 'aborted',
      })
      while (counters.submits === submits) await Promise.resolve()
      controller.abort()
      await running
      expect(sequence.length).toBe(512)
      // With decode steps on their way.
      sequence.rewind(0)
      const options = { sampling: GREEDY, maxTokens: 100, contextLength: TINY_CONTEXT, seen: [], stepsPerSubmit: 16 }
      for await (const event of generateTokens(sequence, ids, options)) if (event.kind === 'token') break
    }
    await generate(sequence, randomIds(1200), 20)
    await round()
    const warm = gpu.memory.bytes
    for (let i = 0; i < 3; i++) await round()
    expect(gpu.memory.bytes).toBe(warm)
  })
})
