import { expect, it } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import { GpuDevice } from '../../src/gpu/device.js'
import { inspectModel } from '../../src/index.js'
import { slotBytes } from '../../src/model/layer-bytes.js'
import type { MatrixName, Part } from '../../src/model/layer-matrices.js'
import type { DtypeOption } from '../../src/model/matrix-dtypes.js'
import type { MatrixLoader } from '../../src/model/matrix-loader.js'
import { WeightStream } from '../../src/model/weight-stream.js'
import type { Engine } from '../../src/runtime/engine.js'
import { Sequence, type SequenceOptions } from '../../src/runtime/sequence.js'
import { loadModel } from '../../src/sdk/load.js'
import type { LoadOptions } from '../../src/sdk/options.js'
import { dense } from '../../src/skip/dense.js'
import { forced } from '../../src/skip/forced.js'
import type { SkipPolicy } from '../../src/skip/policy.js'
import type { RouterWeights } from '../../src/skip/router-weights.js'
import { skipgptPolicy } from '../../src/skip/skipgpt.js'
import type { ByteRange, FileSource } from '../../src/storage/source.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { MemorySource } from '../fixtures/memory-source.js'
import { randomIds, TINY_CONTEXT, type TinyModel, type TinyOptions, tinyModel } from '../fixtures/tiny-model.js'
import { constantRouters, generate, leftOut, routersOf, withModel } from './support.js'

const LAYERS = 6
const RECIPE: TinyOptions = { layers: LAYERS, seed: 21 }
const PROMPT = randomIds(5, 22)
const TOKENS = 12

/** Bytes of weights as `dtype`, as far as a model of this recipe keeps them apart. */
async function weightBytes(tiny: TinyModel, dtype: Exclude<DtypeOption, 'stored'>): Promise<number> {
  return (await inspectModel(tiny.source)).memory[dtype]
}

function sequenceOf(engine: Engine, policy: SkipPolicy, options: Partial<SequenceOptions> = {}): Sequence {
  return new Sequence(engine, policy, { contextLength: TINY_CONTEXT, ...options })
}

/** Linear routers that answer the same for every token, but not for every sublayer. */
function biasedRouters(bias: (sublayer: number) => number): RouterWeights {
  const side = (mlp: 0 | 1) =>
    Array.from({ length: LAYERS }, (_, i) => ({ weight: new Float32Array(32), bias: bias(2 * i + mlp) }))
  return { kind: 'linear', attention: side(0), mlp: side(1) }
}

/** What a policy does on a model that is loaded so. */
async function run(gpu: GPU, tiny: TinyModel, load: LoadOptions, policy: SkipPolicy, prompt = PROMPT) {
  return withModel(gpu, tiny, load, async (engine) => {
    const sequence = sequenceOf(engine, policy, { margins: true })
    const result = await generate(sequence, prompt, TOKENS)
    sequence.destroy()
    return { ...result, traffic: sequence.traffic, streams: sequence.streams }
  })
}

/** A source whose reads fail, or wait, when a test says so. */
class Hindered implements FileSource {
  readonly description = 'a hindered source'
  hinder: (() => Promise<void>) | undefined

  constructor(private readonly inner: FileSource) {}

  has = (name: string, signal?: AbortSignal) => this.inner.has(name, signal)
  size = (name: string, signal?: AbortSignal) => this.inner.size(name, signal)

  async read(name: string, range?: ByteRange, signal?: AbortSignal, target?: Uint8Array): Promise<Uint8Array> {
    await this.hinder?.()
    return this.inner.read(name, range, signal, target)
  }
}

describeWithGpu('a model larger than its GPU budget', (gpu) => {
  const tiny = tinyModel(RECIPE)
  const routers = routersOf(tiny)
  const policies: Record<string, SkipPolicy> = {
    dense,
    skipgpt: skipgptPolicy({ routers }),
    'post-attention routers': skipgptPolicy({ routers, input: 'post-attention' }),
    forced: forced({ skip: 0.4, seed: 3 }),
    'some left out': leftOut({ skipped: [2, 5, 6, 7], scale: 1.1 }),
    'some left out of decode': leftOut({ skipped: [2, 5, 6, 7], phase: 'decode' }),
    'all attention skipped': skipgptPolicy({ routers: biasedRouters((sublayer) => (sublayer % 2 === 0 ? -1 : 1)) }),
  }

  it.each(Object.keys(policies).flatMap((name) => [0.75, 0.55, 0.4].map((share) => [name, share] as const)))(
    'gives the tokens, bits and logits of the whole one: %s at %f',
    async (name, share) => {
      const policy = policies[name] as SkipPolicy
      const budget = share * (await weightBytes(tiny, 'f32'))
      const whole = await run(gpu(), tiny, {}, policy)
      const streamed = await run(gpu(), tiny, { gpuBudget: budget }, policy)
      expect(streamed.streams).toBe(true)
      expect(streamed.traffic.decode.bytes).toBeGreaterThan(0)
      expect({ ...streamed, traffic: 0, streams: 0 }).toEqual({ ...whole, traffic: 0, streams: 0 })
    },
  )

  it('whose weights need a conversion or get a LoRA', async () => {
    for (const dtype of ['f16', 'q8', 'q4'] as const) {
      const shape = tinyModel({ ...RECIPE, lora: true, hiddenSize: 64, intermediateSize: 96, dtype: 'BF16' })
      const load = { dtype, lora: new MemorySource(shape.files, 'lora/') }
      const whole = await run(gpu(), shape, load, policies.forced!)
      const budget = 0.6 * (await weightBytes(shape, dtype))
      const streamed = await run(gpu(), shape, { ...load, gpuBudget: budget }, policies.forced!)
      expect(streamed.traffic.decode.bytes).toBeGreaterThan(0)
      expect(streamed.tokens, dtype).toEqual(whole.tokens)
      expect(streamed.logits, dtype).toEqual(whole.logits)
    }
  })

  it('reads prompts of several chunks', async () => {
    const prompt = randomIds(600, 23)
    const whole = await run(gpu(), tiny, {}, policies.skipgpt!, prompt)
    const streamed = await run(
      gpu(),
      tiny,
      { gpuBudget: 0.5 * (await weightBytes(tiny, 'f32')) },
      policies.skipgpt!,
      prompt,
    )
    expect(streamed.tokens).toEqual(whole.tokens)
    expect(streamed.logits).toEqual(whole.logits)
  })

  it('evaluates to the same loss', async () => {
    const losses = await Promise.all(
      [undefined, 0.5 * (await weightBytes(tiny, 'f32'))].map((gpuBudget) =>
        withModel(gpu(), tiny, gpuBudget ? { gpuBudget } : {}, (_, model) => model.evaluate([randomIds(150, 24)])),
      ),
    )
    expect(losses[1]).toEqual(losses[0])
  })

  it('keeps within the budget, and moves what does not fit once a token', async () => {
    const all = await weightBytes(tiny, 'f32')
    for (const share of [0.4, 0.6, 0.8]) {
      await withModel(gpu(), tiny, { gpuBudget: share * all }, async (engine) => {
        const scratch = Object.values(engine.scratch).reduce((sum, { size }: GPUBuffer) => sum + size, 0)
        const weights = engine.gpu.memory.bytes - scratch
        expect(weights).toBeLessThanOrEqual(share * all)
        const sequence = sequenceOf(engine, dense)
        await generate(sequence, PROMPT, TOKENS)
        const { bytes, tokens, waits } = sequence.traffic.decode
        expect(tokens).toBe(TOKENS - 1)
        expect(waits).toBe(0)
        // The slots hold one layer more than stays.
        const layer = (all - (2 * 32 * 100 + 13 * 32) * 4) / LAYERS
        expect(bytes / tokens).toBeGreaterThanOrEqual(all - weights)
        expect(bytes / tokens).toBeLessThanOrEqual(all - weights + layer)
        sequence.destroy()
      })
    }
  })

  it('does not bring what is skipped', async () => {
    const gpuBudget = 0.4 * (await weightBytes(tiny, 'f32'))
    const never = await run(gpu(), tiny, { gpuBudget }, skipgptPolicy({ routers: constantRouters(-1, LAYERS) }))
    const always = await run(gpu(), tiny, { gpuBudget }, skipgptPolicy({ routers: constantRouters(1, LAYERS) }))
    // K and V are needed for every token, and stay: they are the smallest part of what most tokens need.
    expect(never.traffic.decode).toMatchObject({ bytes: 0, misses: 0, inVain: 0 })
    expect(never.traffic.decode.waits).toBeGreaterThan(0)
    expect(always.traffic.decode.bytes).toBeGreaterThan(0)
    expect(always.traffic.decode).toMatchObject({ waits: 0, misses: 0, inVain: 0 })
  })

  it('keeps what most tokens run, whatever stayed at first', async () => {
    // The first layers, which stay at first, are the ones that are skipped.
    const policy = skipgptPolicy({ routers: biasedRouters((sublayer) => (sublayer < LAYERS ? -1 : 1)) })
    await withModel(gpu(), tiny, { gpuBudget: 0.7 * (await weightBytes(tiny, 'f32')) }, async (engine) => {
      const sequence = sequenceOf(engine, policy)
      const prompt = randomIds(60, 25)
      const first = await generate(sequence, prompt, TOKENS)
      // Changing what stays costs something once; after that, all that runs is there.
      const { bytes } = sequence.traffic.decode
      sequence.rewind(0)
      const second = await generate(sequence, prompt, TOKENS)
      expect(sequence.traffic.decode.bytes).toBe(bytes)
      expect(second.tokens).toEqual(first.tokens)
      sequence.destroy()
    })
  })

  it('serves several sequences at once', async () => {
    const alone = await Promise.all([run(gpu(), tiny, {}, dense), run(gpu(), tiny, {}, policies.forced!)])
    const source = new Hindered(tiny.source)
    const gpuBudget = 0.5 * (await weightBytes(tiny, 'f32'))
    await withModel(gpu(), { ...tiny, source }, { gpuBudget }, async (engine) => {
      // Steps last long enough to come between each other.
      source.hinder = () => new Promise((resolve) => setTimeout(resolve, 1))
      const sequences = [sequenceOf(engine, dense), sequenceOf(engine, policies.forced!)]
      const together = await Promise.all(sequences.map((sequence) => generate(sequence, PROMPT, TOKENS)))
      expect(together.map(({ tokens }) => tokens)).toEqual(alone.map(({ tokens }) => tokens))
      for (const sequence of sequences) sequence.destroy()
    })
  })

  it('goes on after an abort, a failed read, and a sequence that was destroyed in the midst of a step', async () => {
    const source = new Hindered(tiny.source)
    const gpuBudget = 0.5 * (await weightBytes(tiny, 'f32'))
    const expected = await run(gpu(), tiny, {}, policies.forced!)
    await withModel(gpu(), { ...tiny, source }, { gpuBudget }, async (engine) => {
      const again = async () => {
        source.hinder = undefined
        const sequence = sequenceOf(engine, policies.forced!)
        expect((await generate(sequence, PROMPT, TOKENS)).tokens).toEqual(expected.tokens)
        sequence.destroy()
      }
      const sequence = sequenceOf(engine, policies.forced!)
      await sequence.prefill(PROMPT)
      const aborted = new AbortController()
      source.hinder = async () => aborted.abort()
      await expect(sequence.prefill([3], { signal: aborted.signal })).rejects.toMatchObject({ code: 'aborted' })
      expect(sequence.length).toBe(PROMPT.length)
      await again()

      source.hinder = async () => {
        throw new SkipstoneError('network', 'The server is gone.')
      }
      await expect(sequence.prefill([3])).rejects.toMatchObject({ code: 'network' })
      await again()

      source.hinder = async () => sequence.destroy()
      await expect(sequence.prefill([3])).rejects.toMatchObject({ code: 'disposed' })
      await again()
    })
  })

  it('takes a slot for empty while it is filled', async () => {
    const device = await GpuDevice.open({ gpu: gpu() })
    const tensor = (part: Part, matrix: MatrixName) => ({ name: part, rows: 4, k: 4, part, matrix, row: 0 })
    const layer = [tensor('keysValues', 'qkv'), tensor('attention', 'o'), tensor('mlp', 'down')]
    const shape = { rows: 4, k: 4 }
    let failing = false
    const loader = {
      async load() {
        if (failing) throw new Error('no more')
      },
    } as unknown as MatrixLoader
    const dtype = { qkv: 'f32', o: 'f32', gateUp: 'f32', down: 'f32' } as const
    const options = { dtypes: [dtype, dtype], shapes: { qkv: shape, o: shape, gateUp: shape, down: shape } } as const
    const room = slotBytes(options)
    const stream = new WeightStream({ ...options, gpu: device, loader, layers: [layer, layer], room })
    const move = { signal: undefined, onBytes: () => {} }
    await stream.bring(1, 'mlp', move)
    expect([stream.isAway(0, 'mlp'), stream.isAway(1, 'mlp')]).toEqual([true, false])
    failing = true
    await expect(stream.bring(0, 'mlp', move)).rejects.toThrow('no more')
    expect([stream.isAway(0, 'mlp'), stream.isAway(1, 'mlp')]).toEqual([true, true])
    stream.destroy()
    expect(device.memory.bytes).toBe(0)
    device.destroy()
  })

  it('needs room for one layer, and a budget that is a number of bytes', async () => {
    const load = (gpuBudget: number) => loadModel(tiny.source, { gpu: gpu(), gpuBudget })
    for (const budget of [0, -1, Number.NaN, 1000]) {
      await expect(load(budget)).rejects.toMatchObject({ code: 'bad-option' })
    }
  })
})
