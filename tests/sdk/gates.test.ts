import { describe, expect, it } from 'vitest'
import { sampleText } from '../../src/study/budget.js'
import {
  dllmTensors,
  dloTensors,
  flexiDepthTensors,
  gateSkipTensors,
  mindSkipTensors,
  tensorFile,
} from '../fixtures/gates.js'
import { MemorySource } from '../fixtures/memory-source.js'
import { randomIds, TINY, TINY_CONTEXT, tinyModel } from '../fixtures/tiny-model.js'
import { dllmGates, dloGates, flexiDepthGates, gateSkipGates, mindSkipGates } from '../reference/gates.js'
import { reference } from '../runtime/support.js'
import { describeSdk, expectError, generated } from './support.js'

const IDS = randomIds(15, 81)
const GATES = gateSkipTensors(TINY, { form: 'vector', seed: 61 })
const ROUTERS = dloTensors(TINY, [0, 1, 2], 62)
const ATTENTION = mindSkipTensors(TINY, [0, 1, 2], 63)
const LAYERS = flexiDepthTensors(TINY, [1, 2], 64)
const EVICTING = dllmTensors(TINY, [1, 2], 66)
const ALL = new Map([...GATES, ...ROUTERS, ...ATTENTION, ...LAYERS, ...EVICTING])
const routersOf = (tensors: typeof GATES) => new MemorySource(new Map([['routers.safetensors', tensorFile(tensors)]]))
const inCheckpoint = (type: string) => ({ checkpoint: { extra: ALL, routerFile: false, config: { model_type: type } } })

describeSdk('models with gates', (bench) => {
  const model = reference(tinyModel())
  const layersAt = (threshold: number) =>
    flexiDepthGates(LAYERS, tinyModel().tensors, model.config.rmsNormEps, threshold)
  const evictingAt = (threshold: number) => dllmGates(EVICTING, model.config.rmsNormEps, threshold)
  const expected = {
    gateskip: model.greedy(IDS, 10, { gates: gateSkipGates(GATES, () => 0.5) }).tokens,
    'gateskip:threshold=0.45': model.greedy(IDS, 10, { gates: gateSkipGates(GATES, () => 0.45) }).tokens,
    dlo: model.greedy(IDS, 10, { gates: dloGates(ROUTERS) }).tokens,
    'dlo:threshold=0.4,factor=1,gap=0.5': model.greedy(IDS, 10, {
      gates: dloGates(ROUTERS, { threshold: 0.4, factor: 1, gap: 0.5 }),
    }).tokens,
    mindskip: model.greedy(IDS, 10, { gates: mindSkipGates(ATTENTION, true) }).tokens,
    flexidepth: model.greedy(IDS, 10, { gates: layersAt(0.5) }).tokens,
    'flexidepth:threshold=0.6': model.greedy(IDS, 10, { gates: layersAt(0.6) }).tokens,
    dllm: model.greedy(IDS, 10, { gates: evictingAt(0.5), skipped: 'hole' }).tokens,
    'dllm:threshold=0.6': model.greedy(IDS, 10, { gates: evictingAt(0.6), skipped: 'hole' }).tokens,
    'gateskip:kv=below': model.greedy(IDS, 10, { gates: gateSkipGates(GATES, () => 0.5), skipped: 'below' }).tokens,
    'mindskip:form=token': model.greedy(IDS, 10, { gates: mindSkipGates(ATTENTION, false) }).tokens,
  }

  describe.each([
    ['in a checkpoint of DLO', inCheckpoint('llama_dlo_exattn')],
    ['in a checkpoint of FlexiDepth', inCheckpoint('ddllama')],
    ['in a file beside it', { routers: routersOf(ALL) }],
    [
      'of one policy in a file, and of the other in the checkpoint',
      { routers: routersOf(GATES), checkpoint: { extra: new Map([...ROUTERS, ...ATTENTION, ...LAYERS, ...EVICTING]) } },
    ],
  ])('%s', (_, options) => {
    it('generate as the reference does', async () => {
      const { model } = await bench().load(options)
      expect(model.hasRouters).toBe(false)
      for (const [policy, tokens] of Object.entries(expected)) {
        using session = model.createSession({ policy })
        expect((await generated(session, IDS, { maxTokens: 10 })).tokens, policy).toEqual(tokens)
      }
      await expectError(() => model.createSession({ policy: 'skipgpt' }), 'missing-weights')
      model.dispose()
    })
  })

  it('gateskip skips a share of the text that thresholds were found on', async () => {
    const loaded = await bench().load({ routers: routersOf(GATES) })
    const ids = await sampleText(await loaded.engine(), TINY_CONTEXT)
    for (const share of [0, 0.25, 0.6, 1]) {
      const { skip } = await loaded.model.evaluate([[...ids, 3]], { policy: `gateskip:skip=${share}` })
      // Of every sublayer, not in all only.
      for (const { attention, mlp } of skip.byLayer) {
        expect(Math.abs(attention - share), `attention at ${share}`).toBeLessThan(0.03)
        expect(Math.abs(mlp - share), `MLP at ${share}`).toBeLessThan(0.03)
      }
    }
    loaded.model.dispose()
  })

  it.each(['gateskip', 'flexidepth', 'dllm', 'gateskip:kv=below'] as const)(
    'of %s share steps, and give their memory back',
    async (policy) => {
      const { model } = await bench().load({ routers: routersOf(ALL) })
      using first = model.createSession({ policy })
      using second = model.createSession({ policy })
      const runs = await Promise.all([first, second].map((session) => generated(session, IDS, { maxTokens: 10 })))
      for (const { tokens } of runs) expect(tokens).toEqual(expected[policy])
      model.dispose()
      expect(model.gpuBytes).toBe(0)
    },
  )

  it('are refused where they are missing, or of another model', async () => {
    for (const policy of ['gateskip', 'gateskip:skip=0.2', 'dlo', 'mindskip', 'flexidepth', 'dllm']) {
      using session = bench().session({ policy })
      await expectError(generated(session, IDS, { maxTokens: 2 }), 'missing-weights')
      await expectError(bench().model.evaluate([IDS], { policy }), 'missing-weights')
    }
    const other = gateSkipTensors({ ...TINY, layers: 4 }, { form: 'scalar', seed: 3 })
    const { model } = await bench().load({ routers: routersOf(other) })
    await expectError(model.evaluate([IDS], { policy: 'gateskip' }), 'wrong-model')
    model.dispose()
    await bench().stillWorks()
  })

  it.each([
    'gateskip:skip=0.2,threshold=0.5',
    'gateskip:skip=1.2',
    'dlo:threshold=x',
    'flexidepth:skip=0.2',
    'mindskip:form=block',
    'gateskip:kv=hole',
    'dllm:skip=0.2',
  ])('%s is refused', async (policy) => {
    await expectError(() => bench().session({ policy }), 'bad-option')
  })
})
