import { expect, it } from 'vitest'
import { readWeights, rowWords, type WeightDtype } from '../../shaders/snippets/weights.js'
import { dequantise, GGML_BLOCKS } from '../../src/formats/gguf-blocks.js'
import { quantiseKernel } from '../../src/kernels/quantise.js'
import { mergeLora } from '../../src/kernels/reference/lora.js'
import { quantise } from '../../src/kernels/reference/quantise.js'
import { REPACKED, repack } from '../../src/model/repack.js'
import { storeFloats } from '../fixtures/float-bytes.js'
import { Prng } from '../fixtures/prng.js'
import { asFloats, gpuSuite, noise, POISON } from '../gpu/testing.js'

const FLOATS = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const
const FORMS = ['q8', 'q4'] as const
const LEVELS = { q8: 127, q4: 8 }

gpuSuite('quantise', (bench) => {
  const convert = async (
    values: Float32Array,
    k: number,
    to: (typeof FORMS)[number],
    o: { from?: keyof typeof FLOATS; lora?: boolean; targetRow?: number } = {},
  ) => {
    const { from = 'f32', lora = false, targetRow = 0 } = o
    const { gpu, arena } = bench
    const rows = values.length / k
    const { bytes, stored } = storeFloats(values, FLOATS[from])
    const rank = 3
    const prng = new Prng(k)
    const [a, b] = [noise(prng, rank * k), noise(prng, rows * rank)]
    const perRow = rowWords(Math.ceil(k / 4), to)
    const words = bench.poisoned((targetRow + rows + 1) * perRow)
    const buffers = { source: bench.upload(bytes), words, loraA: bench.upload(a), loraB: bench.upload(b) }
    const kernel = await quantiseKernel(gpu, { from, to, lora })
    await bench.run([kernel(arena, buffers, { rows, k, targetRow, rank, scale: 1.5 })])
    const all = await bench.words(words)
    const written = all.slice(targetRow * perRow, (targetRow + rows) * perRow)
    const outside = [...all.subarray(0, targetRow * perRow), ...all.subarray((targetRow + rows) * perRow)]
    expect(outside.every((word) => word === POISON)).toBe(true)
    return { written, exact: lora ? mergeLora(stored, a, b, 1.5, rows, k, rank) : stored }
  }

  for (const to of FORMS) {
    it.each([
      { k: 1, rows: 3, from: 'f32', lora: false, targetRow: 0 },
      { k: 32, rows: 5, from: 'f16', lora: false, targetRow: 2 },
      { k: 70, rows: 4, from: 'bf16', lora: false, targetRow: 1 },
      { k: 333, rows: 3, from: 'f32', lora: true, targetRow: 0 },
      { k: 4128, rows: 2, from: 'f16', lora: false, targetRow: 0 },
    ] as const)(`to ${to} as the reference: $rows x $k from $from`, async ({ k, rows, ...o }) => {
      const { written, exact } = await convert(noise(new Prng(k), rows * k, 2), k, to, o)
      const expected = quantise(exact, k, to)
      const codes = differingBytes(written, expected.words)
      // A value half way between two steps may fall to either side, where the device divides or rounds another way.
      expect(codes / (4 * written.length)).toBeLessThan(0.03)
      const back = await read(written, rows, k, to)
      for (let row = 0; row < rows; row++) {
        for (let first = 0; first < k; first += 32) {
          const block = exact.slice(row * k + first, row * k + Math.min(first + 32, k))
          const step = Math.max(...Array.from(block, Math.abs)) / LEVELS[to]
          // Half a step, and what 127 steps lose where the step is rounded; q4 has one level less on one side.
          const limit = (to === 'q8' ? 0.57 : 1.01) * step
          block.forEach((value, i) => {
            expect(Math.abs(back[row * k + first + i]! - value)).toBeLessThanOrEqual(limit)
          })
        }
      }
    })

    it(`${to}: zeros, one value, the largest halves`, async () => {
      const k = 96
      const values = new Float32Array(3 * k)
      values[k + 5] = -3.25
      values.fill(60000, 2 * k)
      const { written } = await convert(values, k, to)
      const back = await read(written, 3, k, to)
      expect(back.slice(0, k).every((v) => v === 0)).toBe(true)
      expect(back[k + 5]).toBeCloseTo(-3.25, 2)
      expect(back.slice(k, 2 * k).filter((v) => v !== 0)).toHaveLength(1)
      expect(back.slice(2 * k).every((v) => Math.abs(v / 60000 - 1) < 0.01)).toBe(true)
    })
  }

  // Where the f16 scales of a block lie.
  it.each([
    ['Q8_0', 160, [0]],
    ['Q4_0', 160, [0]],
    ['Q4_K', 768, [0, 2]],
    ['Q5_K', 768, [0, 2]],
    ['Q6_K', 768, [208]],
  ] as const)('reads repacked %s blocks bit for bit', async (type, k, scales) => {
    const rows = 3
    const prng = new Prng(3)
    const { values, bytes: blockBytes } = GGML_BLOCKS[type]
    const bytes = Uint8Array.from({ length: (rows * k * blockBytes) / values }, () => Math.floor(prng.uniform() * 256))
    // Finite scales, from subnormal to large.
    for (let at = 0; at < bytes.length; at += blockBytes) {
      for (const scale of scales) bytes[at + scale + 1] = (prng.uniform() * 0x7b) | (at % 4 ? 0x80 : 0)
    }
    const packed = repack(type, bytes, k)
    const back = await read(new Uint32Array(packed.buffer), rows, k, REPACKED[type])
    expect(back).toEqual(dequantise(type, bytes, rows * k))
  })

  /** The values that kernels read. */
  async function read(words: Uint32Array, rows: number, k: number, dtype: WeightDtype): Promise<Float32Array> {
    const { device } = bench.gpu
    const k4 = Math.ceil(k / 4)
    const code = `
@group(0) @binding(0) var<storage, read> weights: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
${readWeights(dtype, k4)}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) { if (id.x < ${k4}u) { y[id.y * ${k4}u + id.x] = weight(weightStart(id.y), id.x); } }`
    const kernel = await bench.gpu.pipelines.compile('read weights', code, ['read', 'write'])
    const y = bench.poisoned(rows * 4 * k4)
    const group = device.createBindGroup({
      layout: kernel.layout,
      entries: [bench.upload(words), y].map((buffer, binding) => ({ binding, resource: { buffer } })),
    })
    const encoder = device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    pass.setPipeline(kernel.pipeline)
    pass.setBindGroup(0, group)
    pass.dispatchWorkgroups(Math.ceil(k4 / 64), rows)
    pass.end()
    device.queue.submit([encoder.finish()])
    const padded = asFloats(await bench.words(y))
    return Float32Array.from({ length: rows * k }, (_, i) => padded[Math.floor(i / k) * 4 * k4 + (i % k)]!)
  }
})

function differingBytes(a: Uint32Array, b: Uint32Array): number {
  expect(a.length).toBe(b.length)
  const [x, y] = [new Uint8Array(a.slice().buffer), new Uint8Array(b.slice().buffer)]
  return x.reduce((count, byte, i) => count + (byte === y[i] ? 0 : 1), 0)
}
