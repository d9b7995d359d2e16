import { SkipstoneError } from '../errors.js'
import type { GpuDevice } from '../gpu/device.js'
import { type Choice, chooseForm } from '../gpu/forms.js'
import type { KernelForms } from '../kernels/forms.js'
import { packedForm, packedGivesRightResults } from '../kernels/packed-forms.js'
import type { MatrixDtypes } from '../model/matrix-dtypes.js'

/**
 * What a token's activations are when they meet weights in q8 or q4 in decoding: as they are, or rounded to 8 bits in blocks of 32. Prompts, and
 * weights of other dtypes, always meet them as they are.
 */
export type Activations = 'f32' | 'q8'

export interface ActivationsChoice {
  readonly choice: Choice<KernelForms>
  readonly activations: Activations
  /** Why they are not what was wished for. */
  readonly warning?: string
}

/** What shaders for `q8` require. */
export const LANGUAGE_FEATURE = 'packed_4x8_integer_dot_product'

/**
 * The chosen forms with products for `q8`, where the weights have use for it and the device passes their self-test. Loaded where it is asked for.
 * @throws `bad-option` for anything else.
 */
export async function chooseActivations(
  activations: Activations,
  gpu: GpuDevice,
  dtypes: MatrixDtypes,
  choice: Choice<KernelForms>,
): Promise<ActivationsChoice> {
  if (activations !== 'q8')
    throw new SkipstoneError('bad-option', `activations is 'f32' or 'q8', not ${String(activations)}.`)
  const refuse = (why: string, refused = choice): ActivationsChoice => ({
    choice: refused,
    activations: 'f32',
    warning: `Activations stay f32: ${why}`,
  })
  const used = [dtypes.head, ...dtypes.layers.flatMap((layer) => Object.values(layer))]
  if (!used.some((dtype) => dtype === 'q8' || dtype === 'q4')) {
    return refuse('8 bits are for weights in q8 or q4, and this model has none; load it with one of these dtypes.')
  }
  if (!gpu.languageFeatures?.has(LANGUAGE_FEATURE)) {
    return refuse(`this browser's WGSL does not have ${LANGUAGE_FEATURE}; update the browser, or try another.`)
  }
  const plain = choice.form
  const packed = await chooseForm(gpu, 'products in 8 bits', [packedForm(plain), plain], async (forms) =>
    forms === plain.value ? true : packedGivesRightResults(gpu, forms),
  )
  const chosen = { form: packed.form, rejected: [...choice.rejected, ...packed.rejected] }
  return packed.form === plain
    ? refuse('products in 8 bits give wrong results on this device; update the graphics driver.', chosen)
    : { choice: chosen, activations: 'q8' }
}
