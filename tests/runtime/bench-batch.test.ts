import { expect, it, vi } from 'vitest'
import { benchBatches } from '../../src/study/bench-batch.js'
import { describeRuntime } from './support.js'

describeRuntime('the benchmark of batches', (bench) => {
  it('times one sequence and several together, dense and skipping, and leaves nothing behind', async () => {
    const { engine } = bench()
    const options = {
      shape: 'tiny',
      sequences: [2, 5],
      tokens: [20],
      skips: [0.5],
      repeats: 1,
      progress: () => undefined,
    }
    const bytes = engine.gpu.memory.bytes
    const rows = await benchBatches(engine, options)
    expect(rows.map(({ sequences, tokens, skip }) => [sequences, tokens, skip])).toEqual([
      [1, 20, 0],
      [2, 20, 0],
      [5, 20, 0],
      [1, 20, 0.5],
      [2, 20, 0.5],
      [5, 20, 0.5],
    ])
    for (const { sequences, ms, tokensPerSecond, gain } of rows) {
      expect(ms).toBeGreaterThan(0)
      expect(tokensPerSecond).toBeCloseTo((1000 * sequences) / ms, 6)
      expect(gain).toBeGreaterThan(0)
    }
    expect(rows.filter(({ sequences }) => sequences === 1).map(({ gain }) => gain)).toEqual([1, 1])
    expect(engine.gpu.memory.bytes).toBe(bytes)
  })

  it('ends where it is aborted', async () => {
    const controller = new AbortController()
    const progress = vi.fn(() => controller.abort())
    const options = {
      shape: 'tiny',
      sequences: [2],
      tokens: [20],
      skips: [],
      repeats: 9,
      signal: controller.signal,
      progress,
    }
    await expect(benchBatches(bench().engine, options)).rejects.toThrow()
    expect(progress.mock.calls.length).toBeLessThan(4)
  })
})
