import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { GgmlBlockType } from '../../src/formats/gguf-blocks.js'
import { dense, type Model } from '../../src/index.js'
import { asOnlyGguf } from '../../src/model/checkpoint.js'
import { DirectorySource } from '../../src/node/fs-source.js'
import { loadEngineModel } from '../../src/sdk/load-model.js'
import { AliasSource } from '../../src/storage/alias-source.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { loadModelGolden, sharedDir, sharedPresent } from '../fixtures/golden.js'
import { MemorySource } from '../fixtures/memory-source.js'
import { randomGguf } from '../fixtures/random-gguf.js'
import { type HubConfig, referenceModel } from '../reference/hub-config.js'
import { sharedCase } from './cases.js'
import { compareRun } from './compare.js'
import { runCase } from './run-case.js'

const IDS = [1, 7, 60, 33, 12, 5, 48, 2, 19]

describeWithGpu('a GGUF file', (gpu) => {
  it.each<[string, GgmlBlockType[]]>([
    ['all kinds', ['Q4_K', 'Q6_K', 'Q8_0', 'Q5_K', 'Q4_0', 'F16', 'BF16', 'F32']],
    ['Q8_0', ['Q8_0']],
    ['Q4_0', ['Q4_0']],
    ['Q4_K', ['Q4_K']],
    ['Q5_K', ['Q5_K']],
    ['Q6_K', ['Q6_K']],
  ])('of %s gives the tokens of a CPU forward with the dequantised weights', async (_, types) => {
    await expectLikeReference(types, 'f32')
  })

  it.each<[GgmlBlockType, string]>([
    ['Q8_0', 'q8'],
    ['Q4_0', 'q4'],
    ['Q4_K', 'q4_k'],
    ['Q5_K', 'q5_k'],
    ['Q6_K', 'q6_k'],
  ])('of %s does so with its blocks as they are', async (type, form) => {
    expect(await expectLikeReference([type], 'stored')).toBe(form)
  })

  it('that mixes kinds holds a matrix in f16 only where its parts differ', async () => {
    // Q4_K, but every third matrix: the file's order is embedding, then q, k, v, o, gate, up, down of each layer, head.
    const source = new MemorySource(new Map([['model.gguf', randomGguf(['Q4_K', 'Q4_K', 'Q6_K']).file]]))
    const model = await loadEngineModel(source, { gpu: gpu() })
    const { weights } = await model.engine()
    expect(weights.dtypes).toEqual({
      layers: [
        { qkv: 'f16', o: 'q4_k', gateUp: 'f16', down: 'q4_k' },
        { qkv: 'f16', o: 'q6_k', gateUp: 'q4_k', down: 'q6_k' },
      ],
      embedding: 'q4_k',
      head: 'q4_k',
    })
    model.dispose()
    // What became f16 was rounded.
    await expectLikeReference(['Q4_K', 'Q4_K', 'Q6_K'], 'stored', 5e-3)
  })

  async function expectLikeReference(
    types: readonly GgmlBlockType[],
    dtype: 'f32' | 'stored',
    tolerance = 1e-4,
  ): Promise<string> {
    const { file, tensors, hub } = randomGguf(types)
    const reference = referenceModel(hub as unknown as HubConfig, tensors)
    const expected = reference.greedy(IDS, 12)
    const model = await loadEngineModel(new MemorySource(new Map([['model.gguf', file]])), { gpu: gpu(), dtype })
    const outcome = await runCase(model, { ids: IDS, policy: dense(), tokens: 12, nll: false })
    model.dispose()
    expect(outcome.greedy).toEqual(expected.tokens)
    const last = expected.steps[0]!.logits.slice(-reference.config.vocabSize)
    const worst = Math.max(...outcome.logits.map((value, i) => Math.abs(value - last[i]!)))
    expect(worst).toBeLessThan(tolerance)
    return model.dtype
  }
})

describe.skipIf(!sharedPresent)('stories260K.gguf', () => {
  describeWithGpu('against its safetensors twin', (gpu) => {
    const folder = join(sharedDir, 'models', 'stories260k')
    const golden = sharedPresent ? loadModelGolden('stories260k') : undefined
    let model: Model
    beforeAll(async () => {
      const source = new AliasSource(new DirectorySource(folder), asOnlyGguf('stories260K.gguf'))
      model = await loadEngineModel(source, { gpu: gpu() })
    })
    afterAll(() => model?.dispose())

    // Its metadata says 128 where config.json says 512.
    const fitting = (golden?.prompts ?? [])
      .map(({ id }) => ({ id, ...sharedCase(golden!, id, 'dense') }))
      .filter(({ run }) => run.ids.length + run.tokens <= 128)

    it('has the context of its metadata, in which golden runs fit', () => {
      expect(model.config.contextLength).toBe(128)
      expect(fitting.length).toBeGreaterThan(1)
    })

    it.each(fitting)('gives the golden run of $id', async ({ run, expected }) => {
      expect(compareRun(await runCase(model, run), expected).problems).toEqual([])
    })

    it('encodes and decodes text as the twin does', async () => {
      const twin = await loadEngineModel(new DirectorySource(folder), { gpu: gpu() })
      for (const text of ['Once upon a time', '  two  spaces', 'naïve café 42!\n\nNew', '']) {
        const [mine, other] = await Promise.all([model.text.encode(text), twin.text.encode(text)])
        expect(mine).toEqual(other)
        expect(await model.text.decode(mine)).toBe(await twin.text.decode(other))
      }
      twin.dispose()
    })
  })
})
