import { sampleShader } from '../../shaders/sample.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { type BoundBuffer, bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'
import { lanesOfLoneGroup } from './group-lanes.js'

/** Numbers of the sampling rule; see kernels/reference/sampling.ts. 0 turns top-k and min-p off, 1 top-p and the penalty. */
export interface SampleSettings {
  temperature: number
  topP: number
  minP: number
  repetitionPenalty: number
  topK: number
  seed: number
  stopCount: number
  vocab: number
  /** Words between records of the ring. */
  stride: number
}

/** Bytes of the sampler's uniform buffer. */
export const SETTINGS_BYTES = 48

/** Its contents: four f32, six u32. */
export function sampleSettings(s: SampleSettings): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(SETTINGS_BYTES))
  ;[s.temperature, s.topP, s.minP, s.repetitionPenalty].forEach((v, i) => {
    view.setFloat32(4 * i, v, true)
  })
  ;[s.topK, s.seed >>> 0, s.stopCount, s.vocab, s.stride, 0x80000000].forEach((v, i) => {
    view.setUint32(16 + 4 * i, v, true)
  })
  return view.buffer
}

/** Host side of shaders/sample.wgsl.ts. */
export async function sampleKernel(gpu: GpuDevice, lanes = lanesOfLoneGroup(gpu)) {
  const bindings = ['read', 'write', 'read', 'write', 'write', 'write', 'uniform'] as const
  const kernel = await gpu.pipelines.compile('sample', sampleShader({ lanes }), bindings)
  return (
    arena: ParamsArena,
    b: {
      logits: BoundBuffer
      seen: GPUBuffer
      stops: GPUBuffer
      plan: GPUBuffer
      ids: GPUBuffer
      ring: GPUBuffer
      settings: GPUBuffer
    },
  ): Dispatch => bind(arena, kernel, [b.logits, b.seen, b.stops, b.plan, b.ids, b.ring, b.settings], () => [1, 1, 1])
}
