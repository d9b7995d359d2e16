import { SkipstoneError } from '../errors.js'
import type { RuntimeShape } from '../runtime/shape.js'
import type { Target } from '../runtime/target.js'
import type { BatchShape } from './batch.js'
import { logitsStride } from './head.js'

/** Tokens of the vocabulary whose logits are held at a time, where nobody says otherwise. */
export function defaultSlice({ config }: RuntimeShape): number {
  return 4 * config.hiddenSize
}

/** @throws `out-of-memory` where a buffer would be larger than the device allows, with a batch and a context that would fit. */
export function checkBuffers(
  { gpu, shape }: Pick<Target, 'gpu' | 'shape'>,
  { batch, length }: BatchShape,
  slice = defaultSlice(shape),
): void {
  const { config, d4, ff4, queryWidth, kvWidth, sublayers } = shape
  const limit = gpu.memory.largestStorage
  // The widest row of those in activations.ts.
  const logits = logitsStride({ vocab: config.vocabSize, slice })
  const bytes = 4 * Math.max(4 * d4, 4 * ff4, queryWidth, kvWidth, 2 * sublayers, logits)
  const most = Math.floor(limit / bytes)
  if (batch * length <= most) return
  throw tooLarge(
    { batch, length },
    `one buffer would have ${bytes * batch * length} bytes, and this device allows ${limit}`,
    `What fits: ${fitting(batch, length, most).join(', or ')}.`,
  )
}

/** @throws `out-of-memory` where so many bytes of parameters would not fit in a buffer of this device, whatever the batch. `advice`: what would. */
export function checkParameters({ gpu }: Pick<Target, 'gpu'>, bytes: number, advice: string): void {
  const limit = gpu.memory.largestStorage
  if (bytes <= limit) return
  throw new SkipstoneError(
    'out-of-memory',
    `There is no room on the GPU for what trains: one buffer would have ${bytes} bytes, and this device allows ${limit}. ${advice}`,
  )
}

/**
 * Makes what a batch needs on the GPU.
 * @throws as `checkBuffers`, and `out-of-memory` where the device has no room for all buffers, with what is worth a try.
 */
export async function withinMemory<T>(
  target: Target,
  { batch, length }: BatchShape,
  slice: number,
  make: () => T & { destroy(): void },
): Promise<T & { destroy(): void }> {
  const { gpu } = target
  checkBuffers(target, { batch, length }, slice)
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
