import { gemmShader } from '../../shaders/gemm.wgsl.js'
import {
  columnsPerLane,
  type GemmChoice,
  type GemmForm,
  type GemmOptions,
} from '../../shaders/snippets/gemm-options.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type Extent, type Grid, type ParamsArena } from '../gpu/dispatch.js'
import type { CompiledKernel } from '../gpu/pipelines.js'

/** Groups below which a GPU is not full: smaller tiles then do the same work in more of them. */
const ENOUGH_GROUPS = 128

/** Devices do without the code for forms that they do not have. */
async function shaderOf(o: GemmOptions): Promise<string> {
  const { along, stagedK4 } = o.form
  if (stagedK4 > 0) return gemmShader(o)
  if (!along) return (await import('../../shaders/gemm-straight.wgsl.js')).gemmStraightShader(o)
  const { fewRowsShader } = await import('../../shaders/few-rows.wgsl.js')
  return fewRowsShader({ ...o, form: { ...o.form, along } })
}

/**
 * Host side of shaders/gemm.wgsl.ts, gemm-straight.wgsl.ts and few-rows.wgsl.ts. `z` is bound for the masked epilogue only; `label` tells its products from others' in a profile. The form
 * follows from the rows of the chunk.
 */
export async function gemmKernel(gpu: GpuDevice, { forms, ...options }: GemmChoice, label = 'gemm') {
  const z = options.epilogue === 'add-masked' ? 'read' : 'none'
  const bindings = ['read', 'read', 'read', 'read', 'write', 'uniform', z] as const
  const kernels = await Promise.all(
    forms.map(async (form) => gpu.pipelines.compile('gemm', await shaderOf({ ...options, form }), bindings)),
  )
  const gridOf = (form: GemmForm, { rows }: Extent): Grid => {
    const across = Math.ceil(options.n / (columnsPerLane({ form, epilogue: options.epilogue }) * form.lanesX))
    const down = Math.ceil(rows / (form.rows * form.lanesY))
    // lavapipe gives each thread neighbouring groups: with rows last, those of rows that nobody runs would be one thread's.
    return form.broadcasts ? [down, across, 1] : [across, down, 1]
  }
  const smallestTile = forms.findLastIndex(({ mostRows }) => mostRows === undefined)
  const chosen = (extent: Extent): number => {
    const few = forms.findLastIndex(({ mostRows = 0 }) => extent.rows <= mostRows)
    if (few >= 0) return few
    const found = forms.findIndex((form) => {
      const [x, y] = gridOf(form, extent)
      return form.mostRows === undefined && x * y >= ENOUGH_GROUPS
    })
    return found < 0 ? smallestTile : found
  }
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; x: GPUBuffer; weights: GPUBuffer; vectors: GPUBuffer; y: GPUBuffer; z?: GPUBuffer },
    params: { slot: number; firstRow: number; bias: number; z: number },
  ): Dispatch => {
    const numbers = [params.slot, params.firstRow, params.bias, params.z]
    const resources = [b.plan, b.x, b.weights, b.vectors, b.y, numbers, b.z]
    const last = forms.length - 1
    const bound = bind(arena, { ...(kernels[last] as CompiledKernel), label }, resources, (extent) =>
      gridOf(forms[last] as GemmForm, extent),
    )
    // What is bound is the same for every form, and so is its layout.
    const variants = kernels.map(({ pipeline }, i): Dispatch => {
      return { ...bound, pipeline, grid: (extent) => gridOf(forms[i] as GemmForm, extent) }
    })
    return { ...bound, variant: (extent) => variants[chosen(extent)] as Dispatch }
  }
}
