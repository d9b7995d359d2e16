import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { writeSafetensors } from '../../src/formats/safetensors-writer.js'
import { GradientStep, type GradientStepOptions, type StepLosses } from '../../src/tuning/gradient-step.js'
import type { LoraTarget } from '../../src/tuning/lora.js'
import { Parameters, type ParameterTensor } from '../../src/tuning/parameters.js'
import { routerGating } from '../../src/tuning/routers.js'
import type { StepInput } from '../../src/tuning/step-input.js'
import { type GoldenTensor, readJson, readTensors, sharedDir, sharedPresent } from '../fixtures/golden.js'
import { MemorySource } from '../fixtures/memory-source.js'
import { type Bench, expectClose, gpuSuite } from '../gpu/testing.js'
import { withWeights } from '../tuning/support.js'

interface GoldenCase {
  kind: 'linear' | 'mlp'
  mlp_router_input: 'layer_input' | 'post_attention'
  tau: number
  skip: number
  coefficient: number
  ce: number
  loss: number
  rate: number
  max_grad: number
}

interface Golden {
  config: Record<string, unknown>
  tokens: [batch: number, length: number]
  cases: Record<'stage1' | 'stage1_post_attention' | 'stage1_mlp_router', GoldenCase> & {
    stage2: { r: number; alpha: number; ce: number; execute_rate: number; max_grad: number }
  }
}

/** Of the golden README: below 1e-4 for losses, which are up to 8, and of gradients relative to the largest. */
const LOSS = 1e-5
const GRADIENT = 1e-4

const targets: LoraTarget[] = ['self_attn.q_proj', 'self_attn.v_proj', 'mlp.gate_proj']

describe.skipIf(!sharedPresent)('golden gradients', () => {
  if (!sharedPresent) return
  const golden = readJson(join(sharedDir, 'golden', 'gradients.json')) as Golden
  const tensors = readTensors(join(sharedDir, 'golden', 'gradients.safetensors'))
  const [batch, length] = golden.tokens
  const floats = (name: string) => tensors.get(name)!.data as Float32Array<ArrayBuffer>
  const ids = Uint32Array.from(tensors.get('ids')!.data)

  /** Tensors whose names begin so, without that beginning. */
  const under = (prefix: string): ParameterTensor[] =>
    [...tensors]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, { shape, data }]) => ({ name: name.slice(prefix.length), shape, data: data as Float32Array }))
  const loraName = (name: string) => name.replace(/\.([AB])$/, '.lora_$1.weight')
  const loraTensors = (prefix: string) => under(prefix).map((t) => ({ ...t, name: loraName(t.name) }))

  /** Runs one step with the model of the golden data, and hands over what it came to. */
  async function run(
    bench: Bench,
    options: Omit<GradientStepOptions, 'batch' | 'length'>,
    input: Omit<StepInput, 'ids'>,
    use: (losses: StepLosses, step: GradientStep) => Promise<void>,
  ) {
    const { gpu } = bench
    const hub = {
      model_type: 'llama',
      architectures: ['LlamaForCausalLM'],
      max_position_embeddings: 64,
      ...golden.config,
    }
    const bytes = (data: GoldenTensor['data']) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const weightFile = writeSafetensors(
      new Map(
        under('weights.').map(({ name, shape, data }) => [
          name,
          { dtype: 'F32', shape: [...shape], data: bytes(data as Float32Array) },
        ]),
      ),
    )
    const files = new Map([
      ['config.json', new TextEncoder().encode(JSON.stringify(hub))],
      ['model.safetensors', weightFile],
    ])
    await withWeights(gpu, new MemorySource(files), hub, 'stored', async (target, weights) => {
      const step = await GradientStep.create(target, weights, { batch, length, ...options })
      await use(await step.run({ ids, ...input }), step)
      step.destroy()
    })
  }

  async function expectGradients(parameters: Parameters, expected: readonly ParameterTensor[], largest: number) {
    const gradients = await parameters.read(parameters.gradients!)
    expect([...gradients.keys()].sort()).toEqual(expected.map(({ name }) => name).sort())
    for (const { name, data } of expected) {
      // Without the floor of 1 that expectClose has for what is small.
      const relative = (values: Float32Array) => values.map((value) => value / largest)
      expectClose(relative(gradients.get(name)!), relative(data), GRADIENT, name)
    }
  }

  gpuSuite('a training step', (bench) => {
    it.each([
      { name: 'stage1', slice: 97 },
      { name: 'stage1_post_attention', slice: 40 },
      { name: 'stage1_mlp_router', slice: 97 },
    ] as const)('$name: routers', async ({ name, slice }) => {
      const c = golden.cases[name]
      const parameters = new Parameters(bench.gpu, under(`${name}.routers.`), true)
      const routers = {
        parameters,
        ...(c.kind === 'mlp' ? { width: 8 } : {}),
        input: c.mlp_router_input === 'layer_input' ? ('entry' as const) : ('post-attention' as const),
      }
      const input = {
        noise: floats('noise'),
        tau: c.tau,
        executeRate: 1 - c.skip,
        coefficient: c.coefficient,
      }
      await run(bench, { gating: routerGating(routers), slice }, input, async (losses, step) => {
        expect([...(await step.gates())]).toEqual([...floats(`${name}.gates`)])
        expectClose([losses.crossEntropy, losses.executeRate, losses.loss], [c.ce, c.rate, c.loss], LOSS, 'losses')
        await expectGradients(parameters, under(`${name}.grads.`), c.max_grad)
        // Gradients of batches add up.
        await step.run({ ids, ...input, accumulation: 2 })
        const more = under(`${name}.grads.`).map((t) => ({ ...t, data: t.data.map((value) => 1.5 * value) }))
        await expectGradients(parameters, more, c.max_grad)
      })
      parameters.destroy()
    })

    it('stage2: a LoRA under frozen routers', async () => {
      const c = golden.cases.stage2
      const frozen = new Parameters(bench.gpu, under('stage2.routers.'), false)
      const parameters = new Parameters(bench.gpu, loraTensors('stage2.lora.'), true)
      const lora = { parameters, rank: c.r, alpha: c.alpha, targets }
      await run(bench, { gating: routerGating({ parameters: frozen }), lora }, {}, async (losses, step) => {
        expect([...(await step.gates())]).toEqual([...tensors.get('stage2.execute')!.data])
        expectClose(
          [losses.crossEntropy, losses.executeRate, losses.loss],
          [c.ce, c.execute_rate, c.ce],
          LOSS,
          'losses',
        )
        await expectGradients(parameters, loraTensors('stage2.grads.'), c.max_grad)
      })
      frozen.destroy()
      parameters.destroy()
    })
  })
})
