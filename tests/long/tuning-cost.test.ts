/** What a step of training costs beside a forward pass over the same tokens: printed, and at the size of 135M run at all. */
import { expect, it } from 'vitest'
import { GpuDevice } from '../../src/gpu/device.js'
import { GpuProfile } from '../../src/gpu/profile.js'
import type { DtypeOption } from '../../src/model/matrix-dtypes.js'
import { loadWeights } from '../../src/model/weights.js'
import { chooseTarget } from '../../src/runtime/target.js'
import { median } from '../../src/study/median.js'
import { syntheticCheckpoint, syntheticConfig, syntheticIds } from '../../src/study/synthetic.js'
import { GradientStep, type GradientStepOptions } from '../../src/tuning/gradient-step.js'
import { initialLora, initialRouters } from '../../src/tuning/initial.js'
import { initialGates } from '../../src/tuning/initial-gates.js'
import { Parameters } from '../../src/tuning/parameters.js'
import { residualGating } from '../../src/tuning/residual-gates.js'
import { routerGating } from '../../src/tuning/routers.js'
import { defaultSettings } from '../../src/tuning/settings.js'
import { describeWithGpu } from '../fixtures/dawn.js'

const onSwiftShader = process.env.SKIPSTONE_TEST_ADAPTER === 'swiftshader'

/** Without rounds, a step is taken and not compared: on SwiftShader it takes minutes. */
const CASES = [
  ...(onSwiftShader ? [] : [{ shape: 'syn-15m', tokens: 256, dtype: 'f32', rounds: 5 } as const]),
  { shape: 'syn-135m', tokens: 512, dtype: 'f32', rounds: onSwiftShader ? 0 : 1 },
  ...(onSwiftShader ? [] : [{ shape: 'syn-135m', tokens: 512, dtype: 'q4', rounds: 0 } as const]),
] as const

const STAGES = ['routers', 'lora', 'gateskip'] as const

describeWithGpu('a step of training', (gpu) => {
  it.each(CASES.flatMap((one) => STAGES.map((stage) => ({ ...one, stage }))))(
    'of $shape in $dtype with 1 × $tokens tokens, $stage',
    { timeout: 3_600_000 },
    async ({ shape, tokens, dtype, rounds, stage }) => {
      const device = await GpuDevice.open({ gpu: gpu() })
      const config = syntheticConfig(shape)
      const weights = await loadWeights(device, config, syntheticCheckpoint(config), { dtype: dtype as DtypeOption })
      const target = await chooseTarget(device, config, weights.dtypes, 'all')
      const ids = Uint32Array.from(syntheticIds(tokens, config.vocabSize))
      const settings = defaultSettings(target.shape, stage)
      const routers = new Parameters(device, initialRouters(target.shape, 1, settings.recipe), stage === 'routers')
      const lora = new Parameters(device, stage === 'lora' ? initialLora(target.shape, settings, 1) : [], true)
      const gates = new Parameters(device, stage === 'gateskip' ? initialGates(target.shape, 1) : [], true)
      const options = {
        ...{
          batch: 1,
          length: tokens,
          gating: stage === 'gateskip' ? residualGating(gates) : routerGating({ parameters: routers }),
        },
        ...(stage === 'lora' && { lora: { parameters: lora, ...settings } }),
      }
      const step = await GradientStep.create(target, weights, options)
      const input = {
        ...{ ids, tau: 2 },
        ...(stage === 'routers' && { noise: { seed: 1, counter: 0 } }),
        ...(stage !== 'lora' && { executeRate: 0.75, coefficient: 8 }),
      }
      const timed = async (work: () => Promise<unknown>) => {
        const begun = performance.now()
        await work()
        return performance.now() - begun
      }
      const ms = { forward: [] as number[], step: [] as number[] }
      const first = await timed(async () => expect((await step.run(input)).loss).toBeGreaterThan(0))
      for (let round = 0; round < rounds; round++) {
        ms.forward.push(await timed(() => step.measure(input)))
        ms.step.push(await timed(() => step.run(input)))
      }
      step.destroy()
      if (rounds > 0) {
        const [forward, whole] = [median(ms.forward), median(ms.step)]
        console.log(
          `${shape} ${dtype}, ${stage}: forward ${forward.toFixed(0)} ms, step ${whole.toFixed(0)} ms, ${(whole / forward).toFixed(2)} times`,
        )
      } else console.log(`${shape} ${dtype}, ${stage}: a step takes ${first.toFixed(0)} ms, compiling included`)
      if (device.features.has('timestamp-query') && rounds > 1) console.log(await kernels(device, options))
      for (const part of [routers, lora, gates]) part.destroy()
      expect(device.uncapturedErrors).toEqual([])
      weights.destroy()
      device.destroy()

      /** Where the time of a step goes, by kernel. */
      async function kernels(device: GpuDevice, options: GradientStepOptions): Promise<string> {
        const timer = new GpuProfile(device)
        const step = await GradientStep.create(target, weights, { ...options, timer })
        await step.run({ ids, tau: 2, noise: { seed: 1, counter: 0 } })
        await timer.read()
        await step.run({ ids, tau: 2, noise: { seed: 1, counter: 0 } })
        const sums = new Map<string, number>()
        for (const { label, ms } of await timer.read()) sums.set(label, (sums.get(label) ?? 0) + ms)
        step.destroy()
        timer.destroy()
        const sorted = [...sums].sort(([, a], [, b]) => b - a)
        return sorted.map(([label, ms]) => `  ${label} ${ms.toFixed(1)} ms`).join('\n')
      }
    },
  )
})
