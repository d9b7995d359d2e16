import { ADAMW_ROW, adamWShader } from '../../../shaders/adamw.wgsl.js'
import { SQUARES_PARTS, squaresSumShader } from '../../../shaders/squares-sum.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'
import type { AdamWOptions } from '../reference/adamw.js'

/** Values in the buffer of partial sums. */
export const SQUARES = SQUARES_PARTS

/** Contents of the settings buffer for step t, counted from 1. */
export function adamWSettings(t: number, o: AdamWOptions): Float32Array<ArrayBuffer> {
  const { learningRate, weightDecay, beta1, beta2, eps, maxNorm } = o
  return Float32Array.of(learningRate, weightDecay, beta1, beta2, eps, maxNorm, 1 - beta1 ** t, 1 - beta2 ** t)
}

/** Host side of shaders/squares-sum.wgsl.ts and shaders/adamw.wgsl.ts: one step over `count` parameters, which may have learning rates of their own. */
export async function adamWKernel(gpu: GpuDevice, count: number, rates: 'one' | 'own' = 'one') {
  const bindings = [
    'read',
    'read',
    'write',
    'write',
    'write',
    'write',
    'uniform',
    rates === 'own' ? 'read' : 'none',
  ] as const
  const [squares, step] = await Promise.all([
    gpu.pipelines.compile('squares-sum', squaresSumShader(), ['read', 'write', 'uniform']),
    gpu.pipelines.compile('adamw', adamWShader({ rates }), bindings),
  ])
  return (
    arena: ParamsArena,
    b: {
      settings: GPUBuffer
      squares: GPUBuffer
      gradients: GPUBuffer
      values: GPUBuffer
      first: GPUBuffer
      second: GPUBuffer
      /** f32 [count] */
      rates?: GPUBuffer
    },
  ): Dispatch[] => [
    bind(arena, squares, [b.gradients, b.squares, [count]], () => [SQUARES_PARTS, 1, 1]),
    bind(arena, step, [b.settings, b.squares, b.gradients, b.values, b.first, b.second, [count], b.rates], () => [
      Math.min(Math.ceil(count / 64), ADAMW_ROW / 64),
      Math.ceil(count / ADAMW_ROW),
      1,
    ]),
  ]
}
