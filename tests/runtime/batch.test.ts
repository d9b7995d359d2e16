import { afterEach, describe, expect, it, vi } from 'vitest'
import { Batch } from '../../src/runtime/batch/batch.js'
import { BATCH_ROWS } from '../../src/runtime/batch/batch-buffers.js'
import { generateTokens } from '../../src/runtime/generate.js'
import type { StepRecord } from '../../src/runtime/records.js'
import { GREEDY, type Sampling } from '../../src/runtime/sampling.js'
import type { Sequence } from '../../src/runtime/sequence.js'
import { dense } from '../../src/skip/dense.js'
import { dllm, readDllm } from '../../src/skip/dllm.js'
import { dlo, readDlo } from '../../src/skip/dlo.js'
import { flexidepth, readFlexiDepth } from '../../src/skip/flexidepth.js'
import { forced } from '../../src/skip/forced.js'
import { gateskip, readGateSkip } from '../../src/skip/gateskip.js'
import { mindskip, readMindSkip } from '../../src/skip/mindskip.js'
import { skipgptPolicy } from '../../src/skip/skipgpt.js'
import { dllmTensors, dloTensors, flexiDepthTensors, gateSkipTensors, mindSkipTensors } from '../fixtures/gates.js'
import { randomIds, TINY, TINY_CONTEXT } from '../fixtures/tiny-model.js'
import { bits, describeRuntime, leftOut } from './support.js'

/** Lengths of prompts, and what each is continued with. */
const REQUESTS: readonly { prompt: number; tokens: number; sampling?: Partial<Sampling> }[] = [
  { prompt: 20, tokens: 40 },
  { prompt: 3, tokens: 60, sampling: { temperature: 0.8, seed: 5 } },
  { prompt: 45, tokens: 25, sampling: { temperature: 1, topK: 20, repetitionPenalty: 1.3, seed: 6 } },
  { prompt: 1, tokens: 33, sampling: { presencePenalty: 1.5, frequencyPenalty: 0.5, logitBias: { 7: 4 } } },
  { prompt: 11, tokens: 50, sampling: { temperature: 1.2, topP: 0.9, minP: 0.01, seed: 7 } },
]

const gated = await gateskip({}, readGateSkip(gateSkipTensors(TINY, { form: 'vector', seed: 51 }), TINY), () =>
  Promise.reject(new Error('nothing to calibrate')),
)
const scaled = dlo({ threshold: 0.5, factor: 2, gap: 0.5 }, readDlo(dloTensors(TINY, [0, 2], 52), TINY))
const adapted = flexidepth({ threshold: 0.5 }, readFlexiDepth(flexiDepthTensors(TINY, [0, 2], 54), TINY))
const evicting = dllm({ threshold: 0.5 }, readDllm(dllmTensors(TINY, [0, 1, 2], 70), TINY))
const copying = await gateskip(
  { kv: 'below' },
  readGateSkip(gateSkipTensors(TINY, { form: 'vector', seed: 72 }), TINY),
  () => Promise.reject(new Error('nothing to calibrate')),
)
const once = mindskip({ threshold: 0.5, form: 'sequence' }, readMindSkip(mindSkipTensors(TINY, [0, 1, 2], 53), TINY))

interface Run {
  tokens: number[]
  records: StepRecord[]
}

describeRuntime('sequences that generate at the same time', (bench) => {
  const together = vi.spyOn(Batch.prototype, 'decode')
  afterEach(() => together.mockClear())

  const run = async (
    sequence: Sequence,
    index: number,
    request = REQUESTS[index % REQUESTS.length]!,
    signal?: AbortSignal,
  ): Promise<Run> => {
    const result: Run = { tokens: [], records: [] }
    const events = generateTokens(sequence, randomIds(request.prompt, 100 + index), {
      sampling: { ...GREEDY, ...request.sampling },
      maxTokens: request.tokens,
      contextLength: TINY_CONTEXT,
      seen: [],
      signal,
    })
    for await (const event of events) {
      if (event.kind === 'prompt') result.records.push(...event.records)
      else if (event.kind === 'token') {
        result.records.push(event.record)
        result.tokens.push(event.token)
      }
    }
    return result
  }

  describe.each([
    ['without skipping', () => dense],
    ['with routers', () => skipgptPolicy({ routers: bench().routers })],
    ['with routers behind attention', () => skipgptPolicy({ routers: bench().routers, input: 'post-attention' })],
    ['with a forced mask', () => forced({ skip: 0.4 })],
    ['with sublayers that no token runs', () => leftOut({ skipped: [1, 2, 4], scale: 0.9 })],
    ['with sublayers that only prompts run', () => leftOut({ skipped: [0, 3, 4], phase: 'decode' })],
    [
      'with routers for some sublayers',
      () => leftOut({ skipped: [2], otherwise: skipgptPolicy({ routers: bench().routers }) }),
    ],
    ['with gates', () => gated],
    ['with routers that scale MLPs', () => scaled],
    ['with adapters for what is skipped', () => adapted],
    ['with routers that decide once for each', () => once],
    ['with routers whose tokens leave holes', () => evicting],
    ['with gates whose tokens keep what the layer below has', () => copying],
  ] as const)('%s', (_, policy) => {
    it('get the tokens, bits and margins that each gets alone, and share steps', async () => {
      const alone: Run[] = []
      for (const i of REQUESTS.keys()) alone.push(await run(bench().sequence(policy(), { margins: true }), i))
      expect(together).not.toHaveBeenCalled()
      const bytes = bench().engine.gpu.memory.bytes
      const sequences = REQUESTS.map(() => bench().sequence(policy(), { margins: true }))
      const shared = await Promise.all(sequences.map((sequence, i) => run(sequence, i)))
      expect(together.mock.calls.some(([members]) => members.length === REQUESTS.length)).toBe(true)
      for (const [i, { tokens, records }] of shared.entries()) {
        expect(tokens, `tokens of ${i}`).toEqual(alone[i]!.tokens)
        expect(bits(records), `bits of ${i}`).toEqual(bits(alone[i]!.records))
        const margins = (all: readonly StepRecord[]) => all.flatMap((record) => [...(record.margins ?? [])])
        const expected = margins(alone[i]!.records)
        for (const [j, margin] of margins(records).entries()) expect(margin).toBeCloseTo(expected[j]!, 4)
      }
      for (const sequence of sequences) sequence.destroy()
      expect(bench().engine.gpu.memory.bytes).toBe(bytes)
    })
  })

  it('of other policies take steps of their own', async () => {
    const policies = [dense, forced({ skip: 0.4 }), dense, forced({ skip: 0.6 })]
    const alone: Run[] = []
    for (const [i, policy] of policies.entries()) alone.push(await run(bench().sequence(policy), i))
    const shared = await Promise.all(policies.map((policy, i) => run(bench().sequence(policy), i)))
    expect(shared.map(({ tokens }) => tokens)).toEqual(alone.map(({ tokens }) => tokens))
    expect(together.mock.calls.every(([members]) => members.length === 2)).toBe(true)
  })

  it('may be more than a batch has rows', async () => {
    const count = BATCH_ROWS + 3
    const request = { prompt: 5, tokens: 8 }
    const alone: number[][] = []
    for (let i = 0; i < count; i++) alone.push((await run(bench().sequence(dense), i, request)).tokens)
    const all = Array.from({ length: count }, (_, i) => run(bench().sequence(dense), i, request))
    expect((await Promise.all(all)).map(({ tokens }) => tokens)).toEqual(alone)
    expect(Math.max(...together.mock.calls.map(([members]) => members.length))).toBe(BATCH_ROWS)
  })

  it('come and go', async () => {
    const policy = forced({ skip: 0.4 })
    const request = (tokens: number) => ({ prompt: 4, tokens })
    const lengths = [90, 10, 20, 30]
    const alone: number[][] = []
    for (const [i, tokens] of lengths.entries())
      alone.push((await run(bench().sequence(policy), i, request(tokens))).tokens)
    const [first, ...others] = lengths.map((tokens, i) => () => run(bench().sequence(policy), i, request(tokens)))
    const long = first!()
    // One after the other, beside the long one.
    const short = (async () => {
      const runs: Run[] = []
      for (const start of others) runs.push(await start())
      return runs
    })()
    expect([await long, ...(await short)].map(({ tokens }) => tokens)).toEqual(alone)
    expect(together).toHaveBeenCalled()
  })

  it('do not hear of one that stops, is aborted, or is destroyed', async () => {
    const request = { prompt: 4, tokens: 60 }
    const alone = await run(bench().sequence(dense), 0, request)
    const varied = { temperature: 1.5, seed: 3 }
    const stopped = (await run(bench().sequence(dense), 1, { ...request, sampling: varied })).tokens
    const stopAt = stopped.findIndex((token, i) => i > 20 && stopped.indexOf(token) === i)
    expect(stopAt).toBeGreaterThan(20)
    const controller = new AbortController()
    const doomed = bench().sequence(dense)
    const runs = [
      run(bench().sequence(dense), 0, request),
      run(bench().sequence(dense), 1, { ...request, sampling: { ...varied, stopIds: [stopped[stopAt]!] } }),
      run(bench().sequence(dense), 2, request, controller.signal),
      run(doomed, 3, request),
    ]
    await vi.waitFor(() => expect(together.mock.calls.length).toBeGreaterThan(2), { interval: 1 })
    controller.abort()
    doomed.destroy()
    const results = await Promise.allSettled(runs)
    expect(results[0]).toMatchObject({ value: { tokens: alone.tokens } })
    expect(results[1]).toMatchObject({ value: { tokens: stopped.slice(0, stopAt) } })
    expect(results[2]).toMatchObject({ reason: { code: 'aborted' } })
    expect(results[3]).toMatchObject({ reason: { code: 'disposed' } })
  })

  it('are not held up by one whose steps nobody takes', async () => {
    const request = { prompt: 4, tokens: 40 }
    const alone = await run(bench().sequence(dense), 0, request)
    const idle = generateTokens(bench().sequence(dense), randomIds(4, 1), {
      sampling: GREEDY,
      maxTokens: 60,
      contextLength: TINY_CONTEXT,
      seen: [],
    })
    for (let i = 0; i < 4; i++) await idle.next()
    expect((await run(bench().sequence(dense), 0, request)).tokens).toEqual(alone.tokens)
    await idle.return()
  })

  it('go on alone with what they have in their caches', async () => {
    const request = { prompt: 4, tokens: 30 }
    const sequences = [bench().sequence(dense), bench().sequence(dense)]
    const alone = bench().sequence(dense)
    const first = await run(alone, 0, request)
    await Promise.all(sequences.map((sequence) => run(sequence, 0, request)))
    for (const sequence of [alone, ...sequences]) sequence.rewind(request.prompt + request.tokens - 1)
    const second = await run(alone, 7, request)
    for (const sequence of sequences) expect((await run(sequence, 7, request)).tokens).toEqual(second.tokens)
    expect(first.tokens).toHaveLength(30)
  })
})
