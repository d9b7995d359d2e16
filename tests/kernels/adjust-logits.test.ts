import { expect, it } from 'vitest'
import { type AdjustLogitsOptions, REFUSED } from '../../shaders/adjust-logits.wgsl.js'
import { AMOUNTS_BYTES, adjustAmounts } from '../../src/kernels/adjust-amounts.js'
import { adjustLogitsKernel } from '../../src/kernels/adjust-logits.js'
import { adjustLogits } from '../../src/kernels/reference/adjust-logits.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, planOf, range } from '../gpu/testing.js'

const VARIANTS: AdjustLogitsOptions[] = range(8).map((i) => ({
  bias: (i & 1) > 0,
  penalties: (i & 2) > 0,
  mask: (i & 4) > 0,
}))

gpuSuite('adjust logits', (bench) => {
  const run = async (variant: AdjustLogitsOptions, vocab: number, rows: number) => {
    const { gpu, arena } = bench
    const logits = noise(new Prng(vocab), vocab, 3)
    const biases = Float32Array.from({ length: vocab }, (_, i) => (i % 5 === 2 ? (i % 7) - 3 : 0))
    const counts = Uint32Array.from({ length: vocab }, (_, i) => i % 4)
    const mask = new Uint32Array(Math.ceil(vocab / 32))
    for (let i = 0; i < vocab; i += 3) mask[i >> 5]! |= 1 << (i & 31)
    const last = vocab - 1
    const amounts = gpu.memory.create('amounts', AMOUNTS_BYTES, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST)
    const strengths = { presence: 0.75, frequency: -1.25 }
    gpu.device.queue.writeBuffer(amounts, 0, adjustAmounts({ ...strengths, vocab }))
    const buffers = {
      plan: bench.upload(planOf({ rows, start: 0, cursor: 0, capacity: 1 })),
      logits: bench.upload(logits),
      out: bench.poisoned(vocab),
      amounts,
      bias: bench.upload(biases),
      ids: bench.upload(Uint32Array.of(last)),
      counts: bench.inout(counts),
      allowed: bench.upload(mask),
    }
    const kernel = await adjustLogitsKernel(gpu, variant)
    await bench.run([kernel(arena, buffers, vocab)])
    gpu.memory.destroy(amounts)
    const counted = Uint32Array.from(counts, (count, id) => count + (variant.penalties && id === last ? 1 : 0))
    const expected = adjustLogits(logits, {
      ...(variant.bias && { bias: Object.fromEntries(biases.entries()) }),
      ...(variant.penalties && { ...strengths, count: (id) => counted[id]! }),
      ...(variant.mask && { allowed: (id) => id % 3 === 0 }),
    })
    return { buffers, counts, counted, expected }
  }

  it.each(VARIANTS)('is what the reference says: %o', async (variant) => {
    for (const vocab of [1, 31, 32, 255, 256, 257, 1000]) {
      const { buffers, counted, expected } = await run(variant, vocab, 1)
      const out = await bench.floats(buffers.out)
      const refused = range(vocab).filter((id) => expected[id] === Number.NEGATIVE_INFINITY)
      expect(range(vocab).filter((id) => out[id] === Math.fround(REFUSED))).toEqual(refused)
      const kept = range(vocab).filter((id) => !refused.includes(id))
      expectClose(
        kept.map((id) => out[id]!),
        kept.map((id) => expected[id]!),
      )
      expect(await bench.words(buffers.counts)).toEqual(counted)
    }
  })

  it('does nothing after a stop token', async () => {
    const { buffers, counts } = await run({ bias: true, penalties: true, mask: true }, 300, 0)
    await bench.expectUntouched(buffers.out)
    expect(await bench.words(buffers.counts)).toEqual(counts)
  })
})
