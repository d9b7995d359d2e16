import { writeSafetensors } from '../../src/formats/safetensors-writer.js'
import type { GpuDevice } from '../../src/gpu/device.js'
import { GradientStep, type GradientStepOptions, type StepLosses } from '../../src/tuning/gradient-step.js'
import type { LoraTarget } from '../../src/tuning/lora.js'
import { Parameters, type ParameterTensor } from '../../src/tuning/parameters.js'
import { routerGating } from '../../src/tuning/routers.js'
import type { StepInput } from '../../src/tuning/step-input.js'
import type { GoldenTensor } from '../fixtures/golden.js'
import { MemorySource } from '../fixtures/memory-source.js'
import { withWeights } from './support.js'

// Training steps of the golden data, on any device; nothing here needs Node.

interface Stage1 {
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

/** gradients.json */
export interface GoldenGradients {
  config: Record<string, unknown>
  tokens: [batch: number, length: number]
  cases: Record<'stage1' | 'stage1_post_attention' | 'stage1_mlp_router', Stage1> & {
    stage2: { r: number; alpha: number; ce: number; execute_rate: number; max_grad: number }
  }
}

export type GoldenCase = keyof GoldenGradients['cases']

/** A step, what it came to, and the parameters that train. */
export interface Taken {
  readonly losses: StepLosses
  readonly step: GradientStep
  readonly parameters: Parameters
  /** What the step was told, but for the share of a batch. */
  readonly input: StepInput
}

/** What a case has to come to. */
export interface Expected {
  readonly losses: StepLosses
  readonly gates: readonly number[]
  readonly gradients: readonly ParameterTensor[]
  /** The largest of them. */
  readonly largest: number
}

const TARGETS: LoraTarget[] = ['self_attn.q_proj', 'self_attn.v_proj', 'mlp.gate_proj']

/** Hidden units of the two-layer routers. */
const WIDTH = 8

export class GoldenSteps {
  constructor(
    private readonly golden: GoldenGradients,
    private readonly tensors: ReadonlyMap<string, GoldenTensor>,
  ) {}

  expected(name: GoldenCase): Expected {
    if (name === 'stage2') {
      const { ce, execute_rate: executeRate, max_grad: largest } = this.golden.cases.stage2
      return {
        losses: { crossEntropy: ce, executeRate, loss: ce },
        gates: [...this.#get('stage2.execute').data],
        gradients: this.#lora('stage2.grads.'),
        largest,
      }
    }
    const { ce: crossEntropy, rate: executeRate, loss, max_grad: largest } = this.golden.cases[name]
    return {
      losses: { crossEntropy, executeRate, loss },
      gates: [...this.#get(`${name}.gates`).data],
      gradients: this.#under(`${name}.grads.`),
      largest,
    }
  }

  /** Takes a step of this case. `slice`: tokens of the vocabulary whose logits are held at a time. */
  async take(gpu: GpuDevice, name: GoldenCase, slice: number, use: (taken: Taken) => Promise<void>): Promise<void> {
    if (name === 'stage2') {
      const { r: rank, alpha } = this.golden.cases.stage2
      const frozen = new Parameters(gpu, this.#under('stage2.routers.'), false)
      const parameters = new Parameters(gpu, this.#lora('stage2.lora.'), true)
      const lora = { parameters, rank, alpha, targets: TARGETS }
      await this.#run(gpu, { gating: routerGating({ parameters: frozen }), lora, slice }, {}, parameters, use)
      for (const part of [frozen, parameters]) part.destroy()
      return
    }
    const c = this.golden.cases[name]
    const parameters = new Parameters(gpu, this.#under(`${name}.routers.`), true)
    const gating = routerGating({
      parameters,
      ...(c.kind === 'mlp' ? { width: WIDTH } : {}),
      input: c.mlp_router_input === 'layer_input' ? 'entry' : 'post-attention',
    })
    const noise = this.#get('noise').data as Float32Array<ArrayBuffer>
    const input = { noise, tau: c.tau, executeRate: 1 - c.skip, coefficient: c.coefficient }
    await this.#run(gpu, { gating, slice }, input, parameters, use)
    parameters.destroy()
  }

  async #run(
    gpu: GpuDevice,
    options: Omit<GradientStepOptions, 'batch' | 'length'>,
    told: Omit<StepInput, 'ids'>,
    parameters: Parameters,
    use: (taken: Taken) => Promise<void>,
  ): Promise<void> {
    const [batch, length] = this.golden.tokens
    const hub = {
      model_type: 'llama',
      architectures: ['LlamaForCausalLM'],
      max_position_embeddings: 64,
      ...this.golden.config,
    }
    const bytes = (data: Float32Array) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const weights = this.#under('weights.').map(
      ({ name, shape, data }) => [name, { dtype: 'F32', shape: [...shape], data: bytes(data) }] as const,
    )
    const files = new Map([
      ['config.json', new TextEncoder().encode(JSON.stringify(hub))],
      ['model.safetensors', writeSafetensors(new Map(weights))],
    ])
    const input = { ids: Uint32Array.from(this.#get('ids').data), ...told }
    await withWeights(gpu, new MemorySource(files), hub, 'stored', async (target, loaded) => {
      const step = await GradientStep.create(target, loaded, { batch, length, ...options })
      await use({ losses: await step.run(input), step, parameters, input })
      step.destroy()
    })
  }

  /** Tensors whose names begin so, without that beginning. */
  #under(prefix: string): ParameterTensor[] {
    return [...this.tensors]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, { shape, data }]) => ({ name: name.slice(prefix.length), shape, data: data as Float32Array }))
  }

  #lora(prefix: string): ParameterTensor[] {
    return this.#under(prefix).map((t) => ({ ...t, name: t.name.replace(/\.([AB])$/, '.lora_$1.weight') }))
  }

  #get(name: string): GoldenTensor {
    const tensor = this.tensors.get(name)
    if (!tensor) throw new Error(`The golden data has no ${name}.`)
    return tensor
  }
}
