import { expect, it } from 'vitest'
import { type LoadOptions, loadModel } from '../../src/index.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { randomIds, tinyModel } from '../fixtures/tiny-model.js'
import { describeSdk, expectError, generated } from './support.js'

describeSdk.anywhere('activations in 8 bits', (bench) => {
  const load = async (options: LoadOptions) => {
    const warnings: string[] = []
    const { model } = await bench().load({ ...options, onWarning: (message) => warnings.push(message) })
    using session = model.createSession()
    const { steps } = await generated(session, randomIds(14, 83), {
      maxTokens: 12,
      logprobs: 0,
      logitBias: { 57: 100 },
    })
    const logprobs = steps.flatMap((step) => (step.kind === 'token' ? [step.logprobs!.logprob] : []))
    const { activations, kernels } = model.device
    model.dispose()
    return { activations, kernels, warnings, logprobs }
  }

  it.each(['q8', 'q4'] as const)('change the results for %s weights a little', async (dtype) => {
    const [f32, q8] = [await load({ dtype }), await load({ dtype, activations: 'q8' })]
    expect(f32).toMatchObject({ activations: 'f32', warnings: [] })
    expect(q8).toMatchObject({ activations: 'q8', kernels: `${f32.kernels}-packed`, warnings: [] })
    const off = q8.logprobs.map((logprob, i) => Math.abs(logprob - f32.logprobs[i]!))
    expect(Math.max(...off)).toBeLessThan(0.2)
    expect(off.filter((difference) => difference > 1e-5)).not.toEqual([])
  })

  it('stay f32 for weights in other forms, which is told', async () => {
    const plain = await load({ dtype: 'f16' })
    const { warnings, ...facts } = await load({ dtype: 'f16', activations: 'q8' })
    expect(facts).toEqual({ activations: 'f32', kernels: plain.kernels, logprobs: plain.logprobs })
    expect(warnings).toEqual([expect.stringMatching(/^Activations stay f32: .*q8 or q4/)])
  })

  it('are refused where they are anything else', async () => {
    await expectError(load({ activations: 'q4' as 'q8' }), 'bad-option')
  })
})

describeWithGpu('activations in 8 bits, where the language lacks them', (gpu) => {
  it('stay f32, which is told', async () => {
    const { requestAdapter } = gpu()
    const warnings: string[] = []
    const model = await loadModel(tinyModel().source, {
      gpu: { requestAdapter, wgslLanguageFeatures: new Set() } as unknown as GPU,
      dtype: 'q8',
      activations: 'q8',
      onWarning: (message) => warnings.push(message),
    })
    expect(model.device.activations).toBe('f32')
    expect(warnings).toEqual([expect.stringMatching(/packed_4x8_integer_dot_product/)])
    model.dispose()
  })
})
