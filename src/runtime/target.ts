import type { Rows } from '../../shaders/snippets/plan.js'
import type { GpuDevice } from '../gpu/device.js'
import { chooseForm, type Form } from '../gpu/forms.js'
import { KERNEL_FORMS, type KernelForms } from '../kernels/forms.js'
import { formsGiveRightResults, type SelfTestOptions } from '../kernels/self-test.js'
import type { ModelConfig } from '../model/config.js'
import type { MatrixDtypes } from '../model/matrix-dtypes.js'
import type { Activations, ActivationsChoice } from './activations.js'
import { type RuntimeShape, runtimeShape } from './shape.js'

/** Rows that one prefill chunk has at most. */
export const CHUNK_ROWS = 512

/** What a model's kernels are compiled for: known before any of its weights is there. */
export interface Target extends ActivationsChoice {
  readonly gpu: GpuDevice
  readonly shape: RuntimeShape
  /** Rows of a chunk: never more than the model's context. */
  readonly capacity: number
  readonly dtypes: MatrixDtypes
}

/** Chooses kernel forms by self-test, first of all the `kept` one; `rows` are those that prefill will attend with first. */
export async function chooseTarget(
  gpu: GpuDevice,
  config: ModelConfig,
  dtypes: MatrixDtypes,
  rows: Rows,
  { activations = 'f32', kept }: { activations?: Activations | undefined; kept?: string | undefined } = {},
): Promise<Target> {
  const shape = runtimeShape(config)
  const test = selfTestOf({ shape, dtypes }, rows)
  const choice = await chooseForm(gpu, 'matrix products', await formsWith(kept), (forms) =>
    formsGiveRightResults(gpu, forms, test),
  )
  const chosen: ActivationsChoice =
    activations === 'f32'
      ? { choice, activations }
      : await (await import('./activations.js')).chooseActivations(activations, gpu, dtypes, choice)
  const capacity = Math.min(CHUNK_ROWS, config.contextLength)
  return { gpu, shape, capacity, dtypes, ...chosen }
}

/** All forms, the `kept` one first, which may be one that only tuning finds. */
async function formsWith(kept: string | undefined): Promise<readonly Form<KernelForms>[]> {
  const named = (forms: readonly Form<KernelForms>[]) => forms.find(({ name }) => name === kept)
  if (kept === undefined) return KERNEL_FORMS
  const first = named(KERNEL_FORMS) ?? named((await import('../kernels/form-variants.js')).FORM_VARIANTS)
  return first ? [first, ...KERNEL_FORMS.filter((form) => form !== first)] : KERNEL_FORMS
}

/** Kernels that the model's first token needs, as prefill-program.ts and endings.ts make them. */
export function selfTestOf({ shape, dtypes }: Pick<Target, 'shape' | 'dtypes'>, rows: Rows): SelfTestOptions {
  const { config, d4, kvWidth } = shape
  const { heads, kvHeads, headDim, hiddenSize: d, vocabSize: vocab, rmsNormEps: eps, qkvBias } = config
  const [first] = dtypes.layers
  return {
    heads,
    kvHeads,
    headDim,
    rows,
    keysValues: { k4: d4, n: kvWidth, dtype: first?.qkv ?? 'f32', bias: qkvBias },
    head: { d, k4: d4, vocab, eps, dtype: dtypes.head },
  }
}
