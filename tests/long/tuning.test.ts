/** Both stages beside the reference trainer: the same text, batches, noise and first values. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
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
import { drawBatch } from '../../src/tuning/batch.js'
import { adapterFiles, routerFiles } from '../../src/tuning/export.js'
import { initialLora, initialRouters } from '../../src/tuning/initial.js'
import { sampleWindows } from '../../src/tuning/own-text.js'
import type { ParameterTensor } from '../../src/tuning/parameters.js'
import { defaultSettings, type TrainingSettings } from '../../src/tuning/settings.js'
import { streamSeed } from '../../src/tuning/streams.js'
import { TrainingRun } from '../../src/tuning/training-run.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { sharedDir, sharedPresent } from '../fixtures/golden.js'

const MODEL = path.join(sharedDir, 'models/stories260k')
const REFERENCE = path.join(sharedDir, 'reference')
const LENGTH = 128
const BATCH = 4
const HELD = 16

const python = ['python3', '/usr/bin/python3'].find(
  (name) => spawnSync(name, ['-c', 'import torch, numpy']).status === 0,
)

interface Measured {
  ce: number
  attention: number
  mlp: number
}

interface Reference {
  history: { loss: number; ce: number; rate?: number }[]
  held: Measured
  theirs: Measured
  dense: Measured
}

/** A slow machine takes long for both trainers. */
const PATIENCE = 1_800_000

/** A share of the second. */
const apart = (a: number, b: number) => Math.abs(a - b) / b

if (!sharedPresent || !python) {
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
      model = await loadEngineModel(new DirectorySource(MODEL), { gpu: gpu() })
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

    const write = (place: string, files: ReadonlyMap<string, Uint8Array>) => {
      mkdirSync(place, { recursive: true })
      for (const [name, bytes] of files) writeFileSync(path.join(place, name), bytes)
    }

    /** Asynchronous: Dawn's events must not wait. */
    const reference = (place: string, task: object) =>
      new Promise<Reference>((resolve, reject) => {
        writeFileSync(path.join(place, 'task.json'), JSON.stringify(task))
        const script = path.join(import.meta.dirname, 'reference_training.py')
        const child = spawn(python, [script, REFERENCE, MODEL, place], { stdio: ['ignore', 'pipe', 'inherit'] })
        let printed = ''
        child.stdout.on('data', (chunk) => {
          printed += chunk
        })
        child.on('close', (status) => (status === 0 ? resolve(JSON.parse(printed)) : reject(new Error(printed))))
      })

    /** Trains, writes what the reference needs, and trains there. */
    async function both(changes: Partial<TrainingSettings>, routers: ParameterTensor[], lora?: ParameterTensor[]) {
      const stage = changes.stage ?? 'routers'
      const defaults = defaultSettings(engine.shape, stage)
      const settings = { ...defaults, target: 0.25, batch: BATCH, length: LENGTH, steps: 60, ...changes }
      const run = await TrainingRun.create(engine.target, engine.weights, { settings, windows, ends, routers, lora })
      const begun = performance.now()
      while (!run.isDone) await run.step()
      const msPerStep = (performance.now() - begun) / settings.steps
      const state = await run.state()
      const first = stage === 'lora' ? (lora as ParameterTensor[]) : routers
      let at = 0
      const trained = first.map(({ name, shape, data }) => {
        at += data.length
        return { name, shape, data: state.values.slice(at - data.length, at) }
      })
      const adapted = stage === 'lora' ? await run.measure(held) : undefined
      run.destroy()

      const place = path.join(folder, stage)
      write(place, routerFiles(routers, settings))
      if (lora) write(path.join(place, 'lora'), adapterFiles(lora, settings))
      write(
        path.join(place, 'trained'),
        stage === 'lora' ? adapterFiles(trained, settings) : routerFiles(trained, settings),
      )
      const seed = streamSeed(settings.seed, 'batches')
      const batches = Array.from({ length: settings.steps }, (_, i) => [...drawBatch(windows, BATCH, seed, i)])
      const noiseSeed = streamSeed(settings.seed, 'noise')
      const theirs = await reference(place, { ...settings, batches, held, noiseSeed })
      return { history: run.history, trained, adapted, theirs, msPerStep }
    }

    it(
      'routers to 25 %: the same curve at first, and a held-out loss within 2 % of the reference',
      async () => {
        const { history, trained, theirs, msPerStep } = await both({}, initialRouters(engine.shape, 3))
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
        expect(apart(ours.nll, theirs.theirs.ce)).toBeLessThan(1e-3)
        // They have learnt something: the loss is near the dense one, where random routers are far away.
        expect(ours.nll).toBeLessThan(theirs.dense.ce + 1)
      },
      PATIENCE,
    )

    it(
      'a LoRA under routers: the same curve, and a held-out loss within 2 % of the reference',
      async () => {
        const files = new DirectorySource(path.join(MODEL, 'skipgpt-25'))
        const { loadRouters } = await import('../../src/sdk/routers.js')
        const { unfoldRouters } = await import('../../src/tuning/initial.js')
        const folded = (await loadRouters(files, model.config, undefined))!
        const routers = unfoldRouters(folded)
        const settings = { ...defaultSettings(engine.shape, 'lora'), seed: 4 }
        const lora = initialLora(engine.shape, settings, 4)
        const { history, adapted, theirs, msPerStep } = await both({ stage: 'lora', steps: 40 }, routers, lora)
        const routed = await evaluate(engine, skipgptPolicy({ routers: folded }), held, { contextLength: LENGTH, ends })
        console.log(
          `LoRA: ${adapted!.nll.toFixed(4)} nats; reference ${theirs.held.ce.toFixed(4)}; without ${routed.nll.toFixed(4)}; ${msPerStep.toFixed(0)} ms a step`,
        )
        const worst = history.map(({ loss }, i) => Math.abs(loss - theirs.history[i]!.loss))
        console.log(
          `largest difference of the first 20 losses ${Math.max(...worst.slice(0, 20))}, of all ${Math.max(...worst)}`,
        )
        expect(Math.max(...worst.slice(0, 20))).toBeLessThan(1e-2)
        expect(apart(adapted!.nll, theirs.held.ce)).toBeLessThan(0.02)
        expect(apart(adapted!.nll, theirs.theirs.ce)).toBeLessThan(1e-3)
        expect(adapted!.nll).toBeLessThan(routed.nll)
      },
      PATIENCE,
    )
  })
}
