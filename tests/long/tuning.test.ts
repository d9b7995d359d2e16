/** Both stages beside the reference trainer: the same text, batches, noise and first values. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { DirectorySource } from '../../src/node/fs-source.js'
import type { Engine } from '../../src/runtime/engine.js'
import { loadEngineModel } from '../../src/sdk/load-model.js'
import type { EngineModel } from '../../src/sdk/model.js'
import { readRouters } from '../../src/skip/router-weights.js'
import { skipgptPolicy } from '../../src/skip/skipgpt.js'
import { evaluate } from '../../src/study/evaluate.js'
import { adapterFiles, routerFiles } from '../../src/tuning/export.js'
import { sampleWindows } from '../../src/tuning/own-text.js'
import type { TrainingSettings } from '../../src/tuning/settings.js'
import { TrainingRun } from '../../src/tuning/training-run.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { referencePython, STORIES, trainReference, writeFiles } from '../fixtures/reference-trainer.js'
import { firstValues } from '../tuning/first-values.js'

const LENGTH = 128
const BATCH = 4
const HELD = 16

/** A slow machine takes long for both trainers. */
const PATIENCE = 1_800_000

/** A share of the second. */
const apart = (a: number, b: number) => Math.abs(a - b) / b

if (!referencePython) {
  it.skip('needs ../shared and a Python with torch', () => undefined)
} else {
  describeWithGpu('training stories260k', (gpu) => {
    let model: EngineModel
    let engine: Engine
    let windows: number[][]
    let held: number[][]
    let folder: string
    const ends = new Set<number>()

    beforeAll(async () => {
      folder = mkdtempSync(path.join(tmpdir(), 'skipstone-tuning-'))
      model = await loadEngineModel(new DirectorySource(STORIES), { gpu: gpu() })
      engine = await model.engine()
      for (const id of model.config.eosTokenIds) ends.add(id)
      const bos = model.config.bosTokenId as number
      const all = await sampleWindows(engine, { windows: 64 + HELD, length: LENGTH, bos, ends, seed: 5 })
      windows = all.slice(HELD)
      held = all.slice(0, HELD)
    }, PATIENCE)
    afterAll(() => {
      model?.dispose()
      rmSync(folder, { recursive: true, force: true })
    })

    /** Trains, writes what the reference needs, and trains there. */
    async function both(changes: Partial<TrainingSettings>) {
      const trainedRouters = new DirectorySource(path.join(STORIES, 'skipgpt-25'))
      const all = { batch: BATCH, length: LENGTH, steps: 60, ...changes }
      const { settings, trained: first, under, folded } = await firstValues(engine.shape, trainedRouters, all)
      const { stage } = settings
      const run = await TrainingRun.create(engine.target, engine.weights, {
        settings,
        windows,
        ends,
        trained: first,
        under,
      })
      const begun = performance.now()
      while (!run.isDone) await run.step()
      const msPerStep = (performance.now() - begun) / settings.steps
      const state = await run.state()
      let at = 0
      const trained = first.map(({ name, shape, data }) => {
        at += data.length
        return { name, shape, data: state.values.slice(at - data.length, at) }
      })
      const adapted = stage === 'lora' ? await run.measure(held) : undefined
      run.destroy()

      const place = path.join(folder, stage)
      writeFiles(
        path.join(place, 'trained'),
        stage === 'lora' ? adapterFiles(trained, settings) : routerFiles(trained, settings),
      )
      const theirs = await trainReference(place, { settings, windows, held, trained: first, under })
      return { history: run.history, trained, adapted, folded, theirs, msPerStep }
    }

    it(
      'routers to 25 %: the same curve at first, and a held-out loss within 2 % of the reference',
      async () => {
        const { history, trained, theirs, msPerStep } = await both({})
        const policy = skipgptPolicy({
          routers: readRouters(
            trained.map((t) => [t.name, t]),
            model.config.hiddenSize,
            model.config.layers,
          ),
        })
        const ours = await evaluate(engine, policy, held, { contextLength: LENGTH, ends })
        const dense = await model.evaluate(held)
        console.log(
          `routers: ${ours.nll.toFixed(4)} nats at ${(100 * ours.skip.total).toFixed(1)} % skipped; reference ${theirs.held.ce.toFixed(4)} at ${(50 * (theirs.held.attention + theirs.held.mlp)).toFixed(1)} %; dense ${theirs.dense.ce.toFixed(4)}, ${dense.nll.toFixed(4)}; ${msPerStep.toFixed(0)} ms a step`,
        )
        const worst = history.map(({ loss }, i) => Math.abs(loss - theirs.history[i]!.loss))
        console.log(
          `largest difference of the first 20 losses ${Math.max(...worst.slice(0, 20))}, of all ${Math.max(...worst)}`,
        )
        // Within rounding, until a gate falls the other way.
        expect(Math.max(...worst.slice(0, 20))).toBeLessThan(1e-4)
        expect(history.map(({ tau }) => tau)[30]).toBe(3)
        expect(apart(ours.nll, theirs.held.ce)).toBeLessThan(0.02)
        // The reference reads our file, and measures what we do.
        expect(apart(ours.nll, theirs.theirs!.ce)).toBeLessThan(1e-3)
        // They have learnt something: the loss is near the dense one, where random routers are far away.
        expect(ours.nll).toBeLessThan(theirs.dense.ce + 1)
      },
      PATIENCE,
    )

    it(
      'a LoRA under routers: the same curve, and a held-out loss within 2 % of the reference',
      async () => {
        const { history, adapted, folded, theirs, msPerStep } = await both({ stage: 'lora', steps: 40 })
        const routed = await evaluate(engine, skipgptPolicy({ routers: folded! }), held, {
          contextLength: LENGTH,
          ends,
        })
        console.log(
          `LoRA: ${adapted!.nll.toFixed(4)} nats; reference ${theirs.held.ce.toFixed(4)}; without ${routed.nll.toFixed(4)}; ${msPerStep.toFixed(0)} ms a step`,
        )
        const worst = history.map(({ loss }, i) => Math.abs(loss - theirs.history[i]!.loss))
        console.log(
          `largest difference of the first 20 losses ${Math.max(...worst.slice(0, 20))}, of all ${Math.max(...worst)}`,
        )
        expect(Math.max(...worst.slice(0, 20))).toBeLessThan(1e-2)
        expect(apart(adapted!.nll, theirs.held.ce)).toBeLessThan(0.02)
        expect(apart(adapted!.nll, theirs.theirs!.ce)).toBeLessThan(1e-3)
        expect(adapted!.nll).toBeLessThan(routed.nll)
      },
      PATIENCE,
    )
  })
}
