import { expect, it } from 'vitest'
import { adamWKernel, adamWSettings, SQUARES } from '../../src/tuning/kernels/adamw.js'
import { type AdamWOptions, adamW } from '../../src/tuning/reference/adamw.js'
import { loadOps, sharedPresent } from '../fixtures/golden.js'
import { Prng } from '../fixtures/prng.js'
import { type Bench, expectClose, gpuSuite, noise } from '../gpu/testing.js'

/** Steps with these gradients from m = v = 0. */
async function run(bench: Bench, param: Float32Array, gradients: readonly Float32Array[], o: AdamWOptions) {
  const count = param.length
  const kernel = await adamWKernel(bench.gpu, count, o.rates ? 'own' : 'one')
  const buffers = {
    values: bench.inout(param),
    first: bench.inout(new Float32Array(count)),
    second: bench.inout(new Float32Array(count)),
    squares: bench.poisoned(SQUARES),
    ...(o.rates && { rates: bench.upload(Float32Array.from(o.rates)) }),
  }
  for (const [i, values] of gradients.entries()) {
    const settings = bench.upload(adamWSettings(i + 1, o))
    const own = bench.inout(values)
    await bench.run(kernel(bench.arena, { ...buffers, settings, gradients: own }))
    expect(
      (await bench.floats(own)).every((value) => value === 0),
      'the gradient is zeroed',
    ).toBe(true)
  }
  const [values, first, second] = await Promise.all(
    [buffers.values, buffers.first, buffers.second].map((buffer) => bench.floats(buffer)),
  )
  return { values: values!, first: first!, second: second! }
}

gpuSuite('adamw', (bench) => {
  it.each([{ count: 1 }, { count: 63 }, { count: 20_000 }, { count: 130, own: true }])(
    'clips, and steps three times: $count parameters, rates of their own: $own',
    async ({ count, own }) => {
      const prng = new Prng(count)
      const rates = own && Float32Array.from({ length: count }, (_, i) => 10 ** (2 - (i % 5)))
      const options = {
        ...(rates && { rates }),
        learningRate: 0.1,
        weightDecay: 0.05,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        maxNorm: 1,
      }
      const param = noise(prng, count)
      // The first is longer than the limit, the last is not.
      const gradients = [3, 1, 0.01].map((scale) => noise(prng, count, scale / Math.sqrt(count)))
      const actual = await run(bench, param, gradients, options)
      const state = {
        values: Float64Array.from(param),
        first: new Float64Array(count),
        second: new Float64Array(count),
      }
      for (const [i, gradient] of gradients.entries()) adamW(gradient, state, i + 1, options)
      expectClose(actual.values, state.values)
      expectClose(actual.first, state.first)
      expectClose(actual.second, state.second)
    },
  )

  it.skipIf(!sharedPresent)('equals the golden data', async () => {
    for (const c of loadOps().filter(({ op }) => op === 'adamw')) {
      const { lr, weight_decay, beta1, beta2, eps } = c.params as Record<string, number>
      const n = c.shape('param')[0]!
      const gradients = [0, 1, 2].map((i) => c.floats('grads').subarray(i * n, (i + 1) * n))
      const actual = await run(bench, c.floats('param'), gradients, {
        learningRate: lr!,
        weightDecay: weight_decay!,
        beta1: beta1!,
        beta2: beta2!,
        eps: eps!,
        maxNorm: 1e9,
      })
      expectClose(actual.values, c.floats('param_after'))
      expectClose(actual.first, c.floats('m_after'))
      expectClose(actual.second, c.floats('v_after'))
    }
  })
})
