import type { FloatWeightDtype } from '../../shaders/snippets/stored.js'
import { SkipstoneError } from '../errors.js'
import { GGML_BLOCKS, type GgmlBlockType, isGgmlBlockType } from '../formats/gguf-blocks.js'
import type { TensorEntry } from '../formats/safetensors.js'

/** How a tensor's values are stored, in safetensors or GGUF. @throws `unsupported` for what Skipstone does not read. */
export function storedType(entry: TensorEntry): GgmlBlockType {
  if (isGgmlBlockType(entry.dtype)) return entry.dtype
  throw new SkipstoneError(
    'unsupported',
    `The tensor ${entry.name} is stored as ${entry.dtype}; Skipstone reads ${Object.keys(GGML_BLOCKS).join(', ')}. Take another file of this model.`,
  )
}

/** The form on the GPU that holds plain floats as they are stored; undefined for blocks. */
export function plainDtype(type: GgmlBlockType): FloatWeightDtype | undefined {
  return ({ F32: 'f32', F16: 'f16', BF16: 'bf16' } as const)[type as 'F32' | 'F16' | 'BF16']
}
