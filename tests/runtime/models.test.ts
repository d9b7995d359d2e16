import { describe, expect, it } from 'vitest'
import { Sequence } from '../../src/runtime/sequence.js'
import { loadEngineModel } from '../../src/sdk/load-model.js'
import type { LoadOptions } from '../../src/sdk/options.js'
import { dense } from '../../src/skip/dense.js'
import type { SkipPolicy } from '../../src/skip/policy.js'
import { skipgptPolicy } from '../../src/skip/skipgpt.js'
import { storeFloats } from '../fixtures/float-bytes.js'
import { MemorySource } from '../fixtures/memory-source.js'
import { randomIds, TINY_CONTEXT, type TinyOptions, tinyModel } from '../fixtures/tiny-model.js'
import { withAdapter } from '../reference/adapter.js'
import type { ReferenceTensors } from '../reference/model.js'
import { type RopeRow, ropeRow } from '../reference/rope-rows.js'
import {
  describeRuntime,
  difference,
  expectLikeReference,
  generate,
  reference,
  referenceRouting,
  routersOf,
  withModel,
} from './support.js'

const ids = randomIds(30, 41)

describeRuntime('models', (bench, gpu) => {
  /** Dense and routed against the reference. */
  async function check(
    options: TinyOptions,
    tensors?: ReferenceTensors,
    rope?: RopeRow,
    load: LoadOptions = {},
    policies?: SkipPolicy[],
  ) {
    const tiny = tinyModel(options)
    await withModel(gpu(), tiny, load, async (engine) => {
      const model = reference(tiny, { ...(tensors && { tensors }), ...(rope && { rope }) })
      const routed = skipgptPolicy({ routers: routersOf(tiny) })
      for (const policy of policies ?? [dense, routed]) {
        const sequence = new Sequence(engine, policy, { contextLength: TINY_CONTEXT })
        await expectLikeReference(sequence, model, ids, policy === dense ? {} : referenceRouting(tiny))
        sequence.destroy()
      }
    })
  }

  it('mistral', async () => {
    await check({ architecture: 'mistral', seed: 12 })
  })

  // Their own golden runs are routed; here it is the shape that is another.
  it.each([{ architecture: 'qwen2' }, { architecture: 'qwen3' }, { dtype: 'BF16' }] as const)('%o', async (recipe) => {
    await check({ ...recipe, seed: 12 }, undefined, undefined, {}, [dense])
  })

  it('stored as F16', async () => {
    await check({ dtype: 'F16', seed: 13 })
  })

  it('a tied model that has its matrix under either name', async () => {
    const tied = tinyModel({ tied: true, seed: 14 })
    await check({ tied: true, seed: 14 })
    const { files } = tied
    const other = new Map(files)
    const renamed = new TextDecoder('latin1')
      .decode(files.get('model.safetensors')!)
      .replace('"model.embed_tokens.weight"', '"lm_head.weight"           ')
    other.set(
      'model.safetensors',
      Uint8Array.from(renamed, (c) => c.charCodeAt(0)),
    )
    const run = async (source: MemorySource) =>
      withModel(gpu(), { ...tied, source }, {}, (engine) =>
        generate(new Sequence(engine, dense, { contextLength: 256 }), ids, 8),
      )
    expect(await run(new MemorySource(other))).toEqual(await run(new MemorySource(files)))
  })

  it('converts weights to f16 and to f32 while loading', async () => {
    const tensors = (options: TinyOptions) =>
      new Map(
        Array.from(tinyModel(options).tensors, ([name, { shape, data }]) => {
          // Norms and biases stay f32.
          return [name, { shape, data: shape.length === 2 ? storeFloats(data, 'F16').stored : data }] as const
        }),
      )
    await check({ seed: 15 }, tensors({ seed: 15 }), undefined, { dtype: 'f16' })
    await check({ seed: 15, dtype: 'BF16' }, undefined, undefined, { dtype: 'f32' })
  })

  it('reads shards as it reads one file', async () => {
    const run = (shards: number) =>
      withModel(gpu(), tinyModel({ shards }), {}, (engine) =>
        generate(new Sequence(engine, dense, { contextLength: 256 }), ids, 12),
      )
    const single = await run(1)
    expect(await run(3)).toEqual(single)
    expect(await run(7)).toEqual(single)
  })

  it('merges an adapter', async () => {
    const tiny = tinyModel({ lora: true })
    const adapted = withAdapter(tiny.tensors, tiny.lora, 8)
    const lora = new MemorySource(tiny.files, 'lora/')
    await check({ lora: true }, adapted, undefined, { lora })
    // And it does change something.
    const plain = reference(tiny).forward(ids).logits
    expect(difference(reference(tiny, { tensors: adapted }).forward(ids).logits, plain)).toBeGreaterThan(0.1)
  })

  it('merges an adapter into f16 weights', async () => {
    const tiny = tinyModel({ lora: true, dtype: 'F16' })
    const adapted = new Map(
      Array.from(withAdapter(tiny.tensors, tiny.lora, 8), ([name, { shape, data }]) => {
        return [name, { shape, data: storeFloats(data, 'F16').stored }] as const
      }),
    )
    await check({ lora: true, dtype: 'F16' }, adapted, undefined, { lora: new MemorySource(tiny.files, 'lora/') })
  })

  describe('scaled RoPE', () => {
    const plain = [0, 1, 2, 3].map((i) => 10000 ** (-i / 4))

    it('linear', async () => {
      await check({ ropeScaling: { type: 'linear', factor: 4 } }, undefined, ropeRow(plain.map((f) => f / 4)))
    })

    it('llama3', async () => {
      const ropeScaling = {
        rope_type: 'llama3',
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 128,
      }
      // Turns over 128 positions: 20.4, 2.04, 0.2, 0.02; the second lies between the two factors.
      const keep = ((128 * plain[1]!) / (2 * Math.PI) - 1) / 3
      const scaled = [plain[0]!, plain[1]! * (keep + (1 - keep) / 8), plain[2]! / 8, plain[3]! / 8]
      await check({ ropeScaling }, undefined, ropeRow(scaled))
      await expect(check({ ropeScaling }, undefined, ropeRow(plain))).rejects.toThrow()
    })
  })

  it('loads from a source that is read in pieces', async () => {
    const tiny = tinyModel({ seed: 5 })
    const progress: string[] = []
    const model = await loadEngineModel(tiny.source, { gpu: gpu(), onProgress: ({ phase }) => progress.push(phase) })
    const sequence = new Sequence(await model.engine(), dense, { contextLength: 256 })
    const run = await generate(sequence, ids, 8)
    expect(run.tokens).toEqual((await generate(bench().sequence(dense), ids, 8)).tokens)
    expect([...new Set(progress)]).toEqual(['config', 'upload', 'pipelines', 'ready'])
    model.dispose()
  })
})
