import 'fake-indexeddb/auto'
import { clear, createStore, entries, get, set } from 'idb-keyval'
import { expect, it, vi } from 'vitest'
import { forgetRun, type TuneOptions, type TuneStep } from '../../src/index.js'
import { tuningMemory } from '../../src/storage/tuning-memory.js'
import { MemorySource } from '../fixtures/memory-source.js'
import { randomIds } from '../fixtures/tiny-model.js'
import { describeSdk, expectError, generated } from './support.js'

const windows = Array.from({ length: 12 }, (_, i) => randomIds(10, 40 + i))
const OPTIONS: TuneOptions = { target: 0.3, data: { windows }, steps: 9, batch: 2, existing: 'replace', saveEvery: 0 }

const GATES: TuneOptions = { ...OPTIONS, stage: 'gateskip', learningRate: 0.1 }

describeSdk.anywhere('tuning', (bench) => {
  const model = () => bench().model

  it('trains routers, tells its steps, and frees what it held', async () => {
    const bytes = await bench().gpuBytes()
    const told: TuneStep[] = []
    const run = await model().tune({ ...OPTIONS, onStep: (step) => void told.push(step) })
    expect(await bench().gpuBytes()).toBeGreaterThan(bytes)
    expect(run).toMatchObject({ stage: 'routers', total: 9 })
    expect(run.held).toEqual(windows.slice(-1))
    const seen: TuneStep[] = []
    for await (const step of run) seen.push(step)
    await run.done
    expect(seen.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(told).toEqual(seen)
    expect(run.steps).toEqual(seen)
    expect(seen.every(({ loss, crossEntropy, executeRate }) => loss >= crossEntropy && executeRate > 0)).toBe(true)
    expect(await bench().gpuBytes()).toBe(bytes)
    expect(await run.rates()).toBeUndefined()
    await bench().stillWorks()
  })

  it('leaves files that a model loads, and measures what that model does', async () => {
    const run = await model().tune({ ...OPTIONS, learningRate: 0.1 })
    await run.done
    const files = await run.export()
    expect([...files.keys()]).toEqual(['routers.safetensors'])
    const measured = await run.evaluate()
    const routed = await bench().load({ routers: new MemorySource(files) })
    const { nll, skip, tokens } = await routed.model.evaluate(run.held, { policy: 'skipgpt' })
    const { nll: dense } = await routed.model.evaluate(run.held)
    const { attention, mlp, total } = skip
    expect(measured).toEqual({ windows: 1, tokens, dense, routed: nll, skip: { attention, mlp, total } })
    expect(nll).not.toBe(dense)
    routed.model.dispose()
  })

  it('gives routers a threshold at which they skip the target, where they learn from a model that runs everything', async () => {
    const learning = { learningRate: 0.02, steps: 30 }
    for (const recipe of ['scaled', 'published'] as const) {
      const run = await model().tune({ ...OPTIONS, ...learning, recipe })
      await run.done
      const routed = await bench().load({ routers: new MemorySource(await run.export()) })
      const { skip } = await routed.model.evaluate(run.held.concat(windows), { policy: 'skipgpt' })
      expect((await run.evaluate()).skip.total).toBeGreaterThan(0)
      const off = Math.abs(skip.total - 0.3)
      // Of others, the share is what training has made of it.
      if (recipe === 'scaled') expect(off).toBeLessThan(0.03)
      routed.model.dispose()
    }
  })

  it('lets the present routers be tried at once', async () => {
    const plain = await bench().load({ checkpoint: { routers: undefined } })
    expect(plain.model.hasRouters).toBe(false)
    const run = await plain.model.tune({ ...OPTIONS, existing: undefined })
    await run.pause()
    await run.use()
    using session = plain.model.createSession({ policy: 'skipgpt' })
    await generated(session, randomIds(12, 61), { maxTokens: 4 })
    const { skip } = session.stats()
    expect(skip.total).toBeGreaterThan(0)
    // A share that is asked for is measured for the routers of now.
    const budget = 'skipgpt:budget=0.5'
    using first = plain.model.createSession({ policy: budget })
    await generated(first, randomIds(12, 61), { maxTokens: 4 })
    run.resume()
    await run.done
    await run.use()
    using second = plain.model.createSession({ policy: budget })
    await generated(second, randomIds(12, 61), { maxTokens: 4 })
    expect(second.trace()).not.toEqual(first.trace())
    plain.model.dispose()
  })

  it('trains a LoRA under the routers that are there, which the model then loads', async () => {
    const run = await model().tune({ ...OPTIONS, stage: 'lora', learningRate: 0.02, rank: 3, alpha: 6 })
    const begin = await run.evaluate()
    await run.done
    const bytes = await bench().gpuBytes()
    const measured = await run.evaluate()
    expect(await bench().gpuBytes()).toBe(bytes)
    expect(measured.routed).toBe(begin.routed)
    expect(measured.adapted!.nll).not.toBeCloseTo(measured.routed, 3)
    const files = await run.export()
    expect([...files.keys()].sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors'])
    const adapted = await bench().load({ lora: new MemorySource(files) })
    const { nll, skip } = await adapted.model.evaluate(run.held, { policy: 'skipgpt' })
    expect(measured.adapted!.nll).toBeCloseTo(nll, 4)
    expect(measured.adapted!.skip.total).toBeCloseTo(skip.total, 5)
    // A second LoRA would fit the merged weights, which nothing can load again; routers are loaded with the first.
    await expectError(adapted.model.tune({ ...OPTIONS, stage: 'lora' }), 'unsupported')
    await (await adapted.model.tune({ ...OPTIONS, steps: 1 })).done
    adapted.model.dispose()
    await expectError(run.use(), 'unsupported')
  })

  it('trains gates, of which a model skips the target by thresholds', async () => {
    const plain = await bench().load({ checkpoint: { routers: undefined } })
    const run = await plain.model.tune({ ...GATES, existing: undefined })
    expect(run.stage).toBe('gateskip')
    await run.done
    expect(run.steps.at(-1)!.executeRate).toBeCloseTo(0.7, 5)
    await run.evaluate()
    const { memory } = (await plain.engine()).gpu
    const bytes = memory.bytes
    const measured = await run.evaluate()
    // Nothing of the gates that were measured stays.
    expect(memory.bytes).toBe(bytes)
    const files = await run.export()
    expect([...files.keys()]).toEqual(['routers.safetensors'])
    const gated = await bench().load({ routers: new MemorySource(files), checkpoint: { routers: undefined } })
    const { nll, skip, tokens } = await gated.model.evaluate(run.held, { policy: 'gateskip' })
    const { attention, mlp, total } = skip
    const { nll: dense } = await gated.model.evaluate(run.held)
    expect(measured).toEqual({ windows: 1, tokens, dense, routed: nll, skip: { attention, mlp, total } })
    expect(nll).not.toBe(dense)
    // Thresholds are those of the text that it trained on.
    const trained = await gated.model.evaluate(windows.slice(0, -1), { policy: 'gateskip' })
    expect(Math.abs(trained.skip.total - 0.3)).toBeLessThan(0.03)

    await expectError(plain.model.evaluate(run.held, { policy: 'gateskip' }), 'missing-weights')
    await run.use()
    expect((await plain.model.evaluate(run.held, { policy: 'gateskip' })).nll).toBe(nll)
    // The same gates again are not put on the GPU again.
    const used = memory.bytes
    await run.use()
    expect((await plain.model.evaluate(run.held, { policy: 'gateskip' })).nll).toBe(nll)
    expect(memory.bytes).toBe(used)
    expect(plain.model.hasRouters).toBe(false)
    await expectError(plain.model.tune({ ...GATES, existing: undefined }), 'bad-option')
    // At the first step everything is kept, as it was: only these gates have this loss.
    const first = async (existing: 'continue' | 'replace', of = plain.model) => {
      const again = await of.tune({ ...GATES, existing, steps: 1 })
      await again.done
      return again.steps[0]!.loss
    }
    expect(await first('replace')).toBe(run.steps[0]!.loss)
    expect(await first('continue')).toBeLessThan(run.steps[0]!.loss)
    expect(await first('continue', gated.model)).toBe(await first('continue'))
    for (const { model } of [plain, gated]) model.dispose()
  })

  it('holds still, goes on, and stops', async () => {
    const run = await model().tune({ ...OPTIONS, steps: 500 })
    await run.pause()
    await run.pause()
    const there = run.steps.length
    expect(there).toBeLessThan(5)
    // Any step would need the device.
    const submits = vi.spyOn((await bench().engine()).gpu.device.queue, 'submit')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(submits).not.toHaveBeenCalled()
    submits.mockRestore()
    run.resume()
    await vi.waitFor(() => expect(run.steps.length).toBeGreaterThan(there + 2), { timeout: 60_000 })
    expect(await run.rates()).toHaveLength(6)
    await run.stop()
    expect(run.steps.length).toBeLessThan(500)
    await run.export()
  })

  it('ends with the signal, also while it holds still, and keeps what it reached', async () => {
    const abort = new AbortController()
    const run = await model().tune({ ...OPTIONS, steps: 500, signal: abort.signal })
    await run.pause()
    abort.abort()
    await expectError(run.done, 'aborted')
    const bytes = await bench().gpuBytes()
    expect((await run.export()).size).toBe(1)
    await expectError(async () => {
      for await (const _ of run);
    }, 'aborted')
    expect(await bench().gpuBytes()).toBe(bytes)
    await expectError(model().tune({ ...OPTIONS, data: 'self', sampled: 50, signal: AbortSignal.abort() }), 'aborted')
  })

  it('goes on where a page that was closed had kept it, with the same curve', async () => {
    for (const stage of ['routers', 'lora', 'gateskip'] as const) {
      const options: TuneOptions = { ...OPTIONS, stage, saveEvery: 2, ...(stage === 'lora' && { existing: undefined }) }
      const whole = await model().tune(options)
      await whole.done
      await whole.forget()
      // The page goes away behind a step of which nothing was kept.
      const closed = await bench().load()
      const cut = await closed.model.tune({
        ...options,
        onStep: ({ step }) => {
          if (step === 4) closed.model.dispose()
        },
      })
      await expectError(cut.done, 'disposed')
      const again = await bench().load()
      const resumed = await again.model.tune(options)
      expect(resumed.key).toBe(cut.key)
      expect(resumed.steps.length).toBe(4)
      await resumed.done
      expect(resumed.steps).toHaveLength(9)
      resumed.steps.forEach(({ loss, executeRate }, i) => {
        expect(Math.abs(loss - whole.steps[i]!.loss)).toBeLessThan(1e-5)
        expect(executeRate).toBe(whole.steps[i]!.executeRate)
      })
      expect(await resumed.export()).toEqual(await whole.export())
      // Of other options nothing is kept, and nothing where nobody wants it.
      const other = await again.model.tune({ ...options, seed: 2, saveEvery: 0 })
      expect(other.steps).toHaveLength(0)
      await other.stop()
      const anew = await again.model.tune({ ...options, resume: false, saveEvery: 0 })
      expect(anew.steps).toHaveLength(0)
      await anew.stop()
      await resumed.forget()
      again.model.dispose()
    }
    const kept = await entries(createStore('skipstone-tuning', 'runs'))
    expect(kept.filter(([key]) => String(key).startsWith('["run"'))).toEqual([])
  })

  it('goes on without keeping anything where there is no room, and says so', async () => {
    const warnings: string[] = []
    const { model } = await bench().load({ onWarning: (message) => void warnings.push(message) })
    const full = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(() => {
      throw new DOMException('full', 'QuotaExceededError')
    })
    const run = await model.tune({ ...OPTIONS, saveEvery: 1 })
    await run.done
    full.mockRestore()
    expect(run.steps).toHaveLength(9)
    expect(warnings).toEqual([expect.stringMatching(/no room to keep.*begins anew/s)])
    model.dispose()
  })

  it('trains on text that the model writes itself, once', async () => {
    await clear(createStore('skipstone-tuning', 'runs'))
    const progress: number[] = []
    const options: TuneOptions = {
      ...{ ...OPTIONS, data: 'self', steps: 2, context: 16, sampled: 11 },
      onProgress: (done, all) => void progress.push(done / all),
    }
    const run = await model().tune(options)
    expect(progress).toHaveLength(11)
    expect(progress.at(-1)).toBe(1)
    expect(run.held).toHaveLength(1)
    const [window] = run.held
    expect(window).toHaveLength(16)
    expect(window![0]).toBe(1)
    await run.done
    const again = await model().tune(options)
    expect(progress).toHaveLength(11)
    expect(again.held).toEqual(run.held)
    await again.stop()
  })

  it('trains on documents', async () => {
    const text = ['A first document. '.repeat(8), 'And another one. '.repeat(8)]
    const run = await model().tune({ ...OPTIONS, data: { text }, context: 20, steps: 1 })
    await run.done
    expect(run.held).toHaveLength(1)
    expect(run.held[0]!.slice(0, 1)).toEqual([1])
    expect(run.held[0]).toHaveLength(20)
  })

  it('refuses gates for which a device has no buffer, with what to do', async () => {
    const plain = await bench().load({ checkpoint: { routers: undefined } })
    const { device } = (await plain.engine()).gpu
    const small = { maxBufferSize: 4096, maxStorageBufferBindingSize: 4096 }
    Object.defineProperty(device, 'limits', { configurable: true, value: small })
    const error = await plain.model.tune(GATES).catch((reason: Error) => reason)
    expect(error).toMatchObject({ code: 'out-of-memory', message: expect.stringContaining('Train routers instead') })
    plain.model.dispose()
  })

  it('refuses what cannot be trained', async () => {
    const refuse = (options: TuneOptions, code: string) => expectError(model().tune({ ...OPTIONS, ...options }), code)
    await refuse({ existing: undefined }, 'bad-option')
    for (const target of [0, 0.91, Number.NaN, undefined as unknown as number]) await refuse({ target }, 'bad-option')
    await refuse({ data: { text: 'too short' }, context: 20 }, 'bad-option')
    await refuse({ data: { windows: windows.slice(0, 2) } }, 'bad-option')
    await refuse({ data: { windows: [...windows, [1, 2]] } }, 'bad-option')
    await refuse({ data: { windows: [...windows, Array(10).fill(100)] } }, 'bad-option')
    await refuse({ recipe: 'fast' as unknown as 'scaled' }, 'bad-option')
    await refuse({ steps: 0 }, 'bad-option')
    await refuse({ learningRate: -1 }, 'bad-option')
    await refuse({ context: 2000 }, 'bad-option')
    await refuse({ targets: ['lm_head' as 'mlp.up_proj'] }, 'bad-option')
    await refuse({ stage: 'gates' as 'lora' }, 'bad-option')
    await refuse({ batch: 10_000_000 }, 'out-of-memory')
    const plain = await bench().load({ checkpoint: { routers: undefined } })
    await expectError(plain.model.tune({ ...OPTIONS, stage: 'lora' }), 'missing-weights')
    plain.model.dispose()
    await expectError(plain.model.tune(OPTIONS), 'disposed')
    const broken = await model().tune({ ...OPTIONS, stage: 'lora', learningRate: 1e39 })
    await expectError(broken.done, 'diverged')
    expect((await broken.export()).size).toBe(2)
    await bench().stillWorks()
  })
})

describeSdk('tuning a model that goes away', (bench) => {
  it('keeps the routers of a model that is gone', async () => {
    const gone = await bench().load()
    const run = await gone.model.tune({ ...OPTIONS, steps: 2, learningRate: 1e-3 })
    await run.done
    gone.model.dispose()
    const files = await run.export()
    const routed = await bench().load({ routers: new MemorySource(files) })
    // As they were after two steps: by a margin, everything runs. A threshold for the target would have skipped a third.
    expect((await routed.model.evaluate(windows, { policy: 'skipgpt' })).skip.total).toBe(0)
    expect((await routed.model.evaluate(windows, { policy: 'skipgpt:delta=4' })).skip.total).toBe(1)
    routed.model.dispose()
  })
})

it('keeps nothing, and fails at nothing, where there is no IndexedDB', async () => {
  await set('there', 1, createStore('skipstone-tuning', 'runs'))
  expect(await tuningMemory.get('there')).toBe(await get('there', createStore('skipstone-tuning', 'runs')))
  vi.stubGlobal('indexedDB', undefined)
  await tuningMemory.set('key', 1)
  vi.unstubAllGlobals()
  expect(await tuningMemory.get('key')).toBeUndefined()
})

it('forgets a run whose page is gone', async () => {
  await tuningMemory.set('gone', { step: 3 })
  await tuningMemory.set('other', { step: 4 })
  await forgetRun('gone')
  expect(await tuningMemory.get('gone')).toBeUndefined()
  expect(await tuningMemory.get('other')).toEqual({ step: 4 })
  await forgetRun('other')
})
