import type { GpuDevice } from '../gpu/device.js'
import { type Dispatch, ParamsArena, record } from '../gpu/dispatch.js'
import { readBuffer } from '../gpu/readback.js'
import { attentionPrefillKernel } from './attention-prefill.js'
import { downDecodeKernel } from './down-decode.js'
import type { KernelForms } from './forms.js'
import { gemmKernel } from './gemm.js'
import { attention } from './reference/attention.js'
import { linear } from './reference/linear.js'
import { pcgHash } from './reference/random.js'

const TOLERANCE = 1e-4

/** Numbers in [-0.5, 0.5), the same on every machine. */
function numbers(seed: number, count: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => (pcgHash(seed, 0, i) >>> 8) / 2 ** 24 - 0.5)
}

/**
 * Runs the matrix and attention kernels in these forms on a small case and compares with the f64 reference. Sizes are
 * no multiples of any tile.
 */
export async function formsGiveRightResults(gpu: GpuDevice, forms: KernelForms): Promise<boolean> {
  const k = 76
  const n = 75
  const rows = 37
  const heads = 3
  const headDim = 8
  const arena = new ParamsArena(gpu)
  const buffers: GPUBuffer[] = []
  const upload = (data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>) => {
    const buffer = gpu.memory.upload('self-test', data)
    buffers.push(buffer)
    return buffer
  }
  const run = async (dispatch: Dispatch, output: GPUBuffer, values: number) => {
    const encoder = gpu.device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    record(pass, [dispatch], { rows, context: rows })
    pass.end()
    gpu.device.queue.submit([encoder.finish()])
    return new Float32Array((await readBuffer(gpu, output, 4 * values)).buffer)
  }
  try {
    const x = numbers(1, rows * k)
    const w = numbers(2, n * k)
    const zero = new Float32Array(rows * n)
    const [plan, xs, weights, vectors] = [upload(Uint32Array.of(rows, 0, 0, 0)), upload(x), upload(w), upload(zero)]
    const expected = linear(x, w, rows, k, n)

    const matvec = await downDecodeKernel(gpu, {
      d: n,
      k4: k / 4,
      bias: false,
      dtype: 'f32',
      obey: 'always',
      form: forms.matvec,
    })
    const y = upload(new Float32Array(n))
    const single = await run(matvec(arena, { plan, a: xs, weights, vectors, x: y }, { slot: 0, bias: 0 }), y, n)

    const options = { k4: k / 4, n, outputStride: n, dtype: 'f32', bias: false, rows: 'all', gather: false } as const
    const gemm = await gemmKernel(gpu, { ...options, epilogue: 'store', form: forms.gemm })
    const ys = upload(zero)
    const params = { slot: 0, firstRow: 0, bias: 0, z: 0 }
    const all = await run(gemm(arena, { plan, x: xs, weights, vectors, y: ys }, params), ys, rows * n)

    const q = numbers(3, rows * heads * headDim)
    const kv = numbers(4, rows * 2 * headDim)
    const prefill = await attentionPrefillKernel(gpu, {
      heads,
      kvHeads: 1,
      headDim,
      rows: 'all',
    })
    const out = upload(new Float32Array(rows * heads * headDim))
    const bound = prefill(arena, { plan, q: upload(q), kv: upload(kv), out }, { slot: 0 })
    const attended = await run(bound, out, rows * heads * headDim)
    const part = (offset: number) =>
      Float32Array.from(
        { length: rows * headDim },
        (_, i) => kv[Math.floor(i / headDim) * 2 * headDim + offset + (i % headDim)] as number,
      )
    const positions = Array.from({ length: rows }, (_, i) => i)
    const reference = attention(q, part(0), part(headDim), positions, heads, 1, headDim)

    return close(single, expected.subarray(0, n)) && close(all, expected) && close(attended, reference)
  } finally {
    arena.destroy()
    for (const buffer of buffers) gpu.memory.destroy(buffer)
  }
}

function close(actual: Float32Array, expected: Float64Array): boolean {
  return expected.every((value, i) => Math.abs(value - (actual[i] as number)) <= TOLERANCE)
}
