import { SkipstoneError } from '../errors.js'
import type { Target } from '../runtime/target.js'
import type { BatchShape } from './batch.js'
import { logitsStride } from './head.js'

/**
 * Makes what a batch needs on the GPU.
 * @throws `out-of-memory`, with a batch and a context that would fit, or where only trying can tell, are worth a try.
 */
export async function withinMemory<T>(
  { gpu, shape }: Target,
  { batch, length }: BatchShape,
  slice: number,
  make: () => T & { destroy(): void },
): Promise<T & { destroy(): void }> {
  const { config, d4, ff4, queryWidth, kvWidth, sublayers } = shape
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.device.limits
  const limit = Math.min(maxBufferSize, maxStorageBufferBindingSize)
  // The widest row of those in activations.ts.
  const values = Math.max(
    4 * d4,
    4 * ff4,
    queryWidth,
    kvWidth,
    2 * sublayers,
    logitsStride({ ...config, vocab: config.vocabSize, slice }),
  )
  const most = Math.floor(limit / (4 * values))
  if (batch * length > most) {
    throw tooLarge(
      { batch, length },
      `one buffer would have ${4 * values * batch * length} bytes, and this device allows ${limit}`,
      `What fits: ${fitting(batch, length, most).join(', or ')}.`,
    )
  }
  let made: T & { destroy(): void }
  let scope: Promise<GPUError | null>
  gpu.device.pushErrorScope('out-of-memory')
  try {
    made = make()
  } finally {
    // Before anybody else can put another scope on the device.
    scope = gpu.device.popErrorScope()
  }
  const error = await scope
  if (!error) return made
  made.destroy()
  const half = fitting(batch, length, Math.floor((batch * length) / 2))
  throw tooLarge({ batch, length }, error.message, `Try ${half.join(', or ')}; or another dtype of the weights.`)
}

/** The largest batch of this length, and the largest length of a batch, within so many tokens. */
function fitting(batch: number, length: number, tokens: number): string[] {
  const sequences = Math.floor(tokens / length)
  const context = Math.floor(tokens / batch)
  return [
    ...(sequences >= 1 ? [`a batch of ${sequences} × ${length} tokens`] : []),
    ...(context >= 2 ? [`a context of ${context} tokens in a batch of ${batch}`] : []),
    ...(sequences < 1 && context < 2 ? [`a batch of 1 × ${tokens} tokens`] : []),
  ]
}

function tooLarge({ batch, length }: BatchShape, what: string, advice: string): SkipstoneError {
  return new SkipstoneError(
    'out-of-memory',
    `There is no room on the GPU to train with batches of ${batch} × ${length} tokens: ${what}. ${advice}`,
  )
}
