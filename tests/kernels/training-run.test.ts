import { expect, it } from 'vitest'
import type { ModelWeights } from '../../src/model/weights.js'
import type { Target } from '../../src/runtime/target.js'
import { drawBatch } from '../../src/tuning/batch.js'
import { GradientStep } from '../../src/tuning/gradient-step.js'
import { initialRouters } from '../../src/tuning/initial.js'
import { Parameters } from '../../src/tuning/parameters.js'
import { routerGating } from '../../src/tuning/routers.js'
import { streamSeed } from '../../src/tuning/streams.js'
import { TrainingRun } from '../../src/tuning/training-run.js'
import { tinyModel } from '../fixtures/tiny-model.js'
import { gpuSuite } from '../gpu/testing.js'
import { type HubConfig, referenceConfig } from '../reference/hub-config.js'
import { ReferenceModel } from '../reference/model.js'
import { plainFrequencies, ropeRow } from '../reference/rope-rows.js'
import { LENGTH, tinyInputs } from '../tuning/inputs.js'
import { withWeights } from '../tuning/support.js'

gpuSuite('a training run', (bench) => {
  const tiny = tinyModel({ layers: 2 })
  const use = <T>(work: (target: Target, weights: ModelWeights) => Promise<T>) =>
    withWeights(bench.gpu, tiny.source, tiny.hub, 'stored', work)

  /** Takes steps until `steps` are done. */
  async function advance(run: TrainingRun, steps: number): Promise<void> {
    while (run.history.length < steps) await run.step()
  }

  it('brings the share that routers execute to the target, and the loss down', async () => {
    await use(async (target, weights) => {
      const inputs = tinyInputs(target, { steps: 60, learningRate: 0.05, target: 0.4, batch: 4 })
      const run = await TrainingRun.create(target, weights, inputs)
      await advance(run, 60)
      expect(run.isDone).toBe(true)
      const mean = (of: (typeof run.history)[number][], key: 'loss' | 'executeRate') =>
        of.reduce((sum, step) => sum + step[key], 0) / of.length
      const [first, last] = [run.history.slice(0, 10), run.history.slice(-10)]
      expect(mean(last, 'loss')).toBeLessThan(mean(first, 'loss') - 0.1)
      expect(Math.abs(mean(last, 'executeRate') - 0.6)).toBeLessThan(0.04)
      expect(run.history.map(({ step }) => step)).toEqual([...Array(60).keys()])
      expect(run.history[0]!.tau).toBe(5)
      expect(run.history[30]!.tau).toBe(3)
      const rates = await run.rates()
      expect(rates).toHaveLength(4)
      expect(rates.reduce((sum, rate) => sum + rate, 0) / 4).toBeCloseTo(run.history[59]!.executeRate, 5)
      run.destroy()
    })
  })

  it('begins with routers that run everything, and moves each by the size of what it reads', async () => {
    await use(async (target, weights) => {
      const inputs = tinyInputs(target, { learningRate: 1e-3, input: 'post-attention' })
      const { settings, windows, trained } = inputs
      const { hiddenSize } = target.shape.config
      const ids = drawBatch(windows, settings.batch, streamSeed(settings.seed, 'batches'), 0).subarray(0, LENGTH)
      const hub = tiny.hub as unknown as HubConfig
      const config = referenceConfig(hub)
      const rope = ropeRow(plainFrequencies(hub.rope_theta, config.headDim))
      const { hidden } = new ReferenceModel(config, tiny.tensors, rope).forward(ids)
      const run = await TrainingRun.create(target, weights, inputs)
      await advance(run, 1)
      const { values } = await run.state()
      let at = 0
      for (const [i, { name, data }] of trained.entries()) {
        // The attention's router, then the MLP's; of each the weights, then the bias. The second reads what the first one's sublayer leaves.
        const sublayer = i >> 1
        const reads = hidden[sublayer]!.subarray(hiddenSize)
        const size = Math.hypot(...reads) / Math.sqrt(reads.length)
        const expected = name.endsWith('bias') ? 10 : 1 / size
        // The first step of AdamW moves by the whole rate, whatever the gradient; decay is 0.01 of it.
        for (const first of data) expect(Math.abs(values[at++]! - first * (1 - 1e-5)) / 1e-3).toBeCloseTo(expected, 2)
      }
      expect(at).toBe(values.length)
      run.destroy()
    })
  })

  it('keeps less with gates from step to step, down to the target, and closes them where they do nothing', async () => {
    await use(async (target, weights) => {
      const inputs = tinyInputs(target, { stage: 'gateskip', steps: 30, learningRate: 0.1, target: 0.4 })
      const run = await TrainingRun.create(target, weights, inputs)
      await advance(run, 30)
      const rows = inputs.settings.batch * inputs.settings.length
      for (const { step, executeRate, tau } of run.history) {
        expect(Math.abs(executeRate - (1 - (0.4 * step) / 29))).toBeLessThanOrEqual(0.5 / rows + 1e-6)
        expect(tau).toBe(1)
      }
      expect(await run.rates()).toEqual(Array(4).fill(expect.closeTo(Math.round(0.6 * rows) / rows, 6)))
      // λ · mean(g²) of gates that begin at 0.993.
      const open = run.history.map(({ loss, crossEntropy }) => loss - crossEntropy)
      expect(open[0]).toBeCloseTo(0.986, 2)
      expect(open.at(-1)).toBeLessThan(0.9)
      run.destroy()
    })
  })

  it.each([
    { name: 'routers', changes: { stage: 'routers', accumulation: 2 } },
    { name: 'a LoRA', changes: { stage: 'lora' } },
    { name: 'a LoRA under sampled decisions', changes: { stage: 'lora', decisions: 'sampled' } },
    { name: 'gates', changes: { stage: 'gateskip', accumulation: 2 } },
  ] as const)('$name: goes on from a state to the letter', async ({ changes }) => {
    await use(async (target, weights) => {
      const inputs = tinyInputs(target, changes)
      const whole = await TrainingRun.create(target, weights, inputs)
      await advance(whole, 3)
      // As a database gives it back.
      const state = structuredClone(await whole.state())
      await advance(whole, 8)
      const resumed = await TrainingRun.create(target, weights, inputs, state)
      expect(resumed.history).toEqual(whole.history.slice(0, 3))
      await advance(resumed, 8)
      expect(resumed.history).toEqual(whole.history)
      expect((await resumed.state()).values).toEqual((await whole.state()).values)
      // Steps do something, and batches differ.
      expect((await whole.state()).values).not.toEqual(state.values)
      expect(new Set(whole.history.map(({ crossEntropy }) => crossEntropy)).size).toBe(8)
      for (const run of [whole, resumed]) run.destroy()
    })
  })

  it('leaves routers alone while a LoRA trains, and begins with a LoRA that changes nothing', async () => {
    await use(async (target, weights) => {
      const inputs = tinyInputs(target, { stage: 'lora' })
      const run = await TrainingRun.create(target, weights, inputs)
      const { batch, length } = inputs.settings
      const routers = new Parameters(bench.gpu, initialRouters(target.shape, 3, 'published'), false)
      const plain = await GradientStep.create(target, weights, {
        batch: 1,
        length,
        gating: routerGating({ parameters: routers }),
      })
      const sum = { nll: 0, rate: 0 }
      for (const window of inputs.windows) {
        const { crossEntropy } = await plain.measure({ ids: Uint32Array.from(window) })
        sum.nll += crossEntropy / 5
        // Nothing depends on the last token of a window.
        const gates = (await plain.gates()).filter((_, at) => at % length !== length - 1)
        sum.rate += gates.reduce((all, gate) => all + gate, 0) / gates.length / 5
      }
      expect(batch).toBe(2)
      const held = await run.measure(inputs.windows)
      expect(held.nll).toBeCloseTo(sum.nll, 5)
      expect(1 - held.skip.total).toBeCloseTo(sum.rate, 5)
      expect(held.tokens).toBe(5 * (length - 1))
      for (const part of [run, plain, routers]) part.destroy()
    })
  })

  it.each(['routers', 'lora', 'gateskip'] as const)(
    'of %s that breaks stops with a typed error, at its last good state',
    async (stage) => {
      await use(async (target, weights) => {
        const run = await TrainingRun.create(target, weights, tinyInputs(target, { stage, learningRate: 1e39 }))
        const start = await run.state()
        const failed = await advance(run, 8).catch((error) => error)
        expect(failed).toMatchObject({ code: 'diverged' })
        expect(failed.message).toMatch(/learning rate below/)
        expect(run.history).toEqual([])
        expect(await run.state()).toEqual(start)
        run.destroy()
      })
    },
  )

  it('asks for as many windows as a batch takes', async () => {
    await use(async (target, weights) => {
      const failed = TrainingRun.create(target, weights, tinyInputs(target, { batch: 6 }))
      await expect(failed).rejects.toMatchObject({ code: 'bad-option', message: expect.stringContaining('5 windows') })
    })
  })

  it('that does not fit says what would', async () => {
    await use(async (target, weights) => {
      const inputs = tinyInputs(target, { batch: 1000, length: 1000 })
      const windows = Array.from({ length: 1000 }, () => inputs.windows[0]!)
      const error = await TrainingRun.create(target, weights, { ...inputs, windows }).catch((error) => error)
      expect(error).toMatchObject({ code: 'out-of-memory' })
      // The guaranteed limit of a binding is 128 MiB, and logits of the whole vocabulary are the widest rows.
      const [, sequences, context] = /batch of (\d+) × 1000 tokens, or a context of (\d+)/.exec(error.message)!
      const most = Math.floor(2 ** 27 / (4 * 100))
      expect([Number(sequences), Number(context)]).toEqual([Math.floor(most / 1000), Math.floor(most / 1000)])
    })
  })
})
