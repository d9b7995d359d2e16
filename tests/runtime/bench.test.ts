import { expect, it, vi } from 'vitest'
import { dense } from '../../src/skip/dense.js'
import { first as firstPolicy } from '../../src/skip/first.js'
import { skipgptPolicy } from '../../src/skip/skipgpt.js'
import { type BenchRow, bench as benchmark, besideDense, forcedRuns, policyRuns } from '../../src/study/bench.js'
import { randomIds } from '../fixtures/tiny-model.js'
import { describeRuntime } from './support.js'

it('compares a run with the dense one of its round', () => {
  // Half the time in every round, while the machine becomes three times as slow; the medians of both say two thirds.
  expect(besideDense([10, 20, 30], [20, 40, 60])).toBeCloseTo(20, 9)
  expect(besideDense([15, 20, 40], [30, 20, 80])).toBeCloseTo(15, 9)
})

it('has no control where no token is decided about', () => {
  const layers = firstPolicy({ skip: 0.25, layers: 4 })
  expect(policyRuns(layers).map(({ mode }) => mode)).toEqual(['dense', 'skip'])
  expect(policyRuns(dense).map(({ mode }) => mode)).toEqual(['dense'])
})

describeRuntime('the benchmark', (bench) => {
  const common = { shape: 'tiny', tokens: [20], repeats: 3, phases: ['prefill', 'decode'] as const, progress: () => {} }

  /** What the columns say of each other. */
  const expectConsistent = (rows: readonly BenchRow[]) => {
    for (const row of rows) {
      const dense = rows.find(({ phase, mode }) => phase === row.phase && mode === 'dense') as BenchRow
      expect(row.ms).toBeGreaterThan(0)
      expect(row.speedup).toBeCloseTo(dense.ms / row.ms, 9)
      if (row.mode !== 'skip') expect([row.idealSpeedup, row.ofIdeal]).toEqual([1, null])
      else if (row.ofIdeal === null) expect(row.idealSpeedup).toBeCloseTo(1, 1)
      else expect(row.ofIdeal).toBeCloseTo((1 - row.ms / dense.ms) / (1 - 1 / row.idealSpeedup), 9)
    }
  }

  it('times masks by lot, with one control, and leaves nothing behind', async () => {
    const { engine } = bench()
    const bytes = engine.gpu.memory.bytes
    const rows = await benchmark(engine, { ...common, runs: forcedRuns([0, 0.5, 0.75]) })
    const modes = [
      ['dense', 0],
      ['skip', 0],
      ['skip', 0.5],
      ['skip', 0.75],
      ['masked', 0.75],
    ]
    expect(rows.map(({ phase, mode, skip }) => [phase, mode, skip])).toEqual(
      ['prefill', 'decode'].flatMap((phase) => modes.map(([mode, skip]) => [phase, mode, skip])),
    )
    expectConsistent(rows)
    const [dense, none, half, most] = rows.map(({ idealSpeedup }) => idealSpeedup) as [number, number, number, number]
    expect([dense, none]).toEqual([1, 1])
    expect(half).toBeGreaterThan(1.05)
    expect(most).toBeGreaterThan(half)
    expect(engine.gpu.memory.bytes).toBe(bytes)
  })

  it('times a policy on a text, and says what it skipped', async () => {
    const { engine, routers } = bench()
    const runs = policyRuns(skipgptPolicy({ routers }))
    const text = randomIds(20, 3)
    const rows = await benchmark(engine, { ...common, runs, text })
    expect(rows.map(({ mode }) => mode)).toEqual(['dense', 'skip', 'masked', 'dense', 'skip', 'masked'])
    expectConsistent(rows)
    for (const { mode, skip } of rows) {
      if (mode === 'dense') expect(skip).toBe(0)
      else expect(skip).toBeGreaterThan(0.05)
    }
    // The control decides as the policy does.
    expect(rows[2]!.skip).toBeCloseTo(rows[1]!.skip, 9)
  })

  it('ends where it is aborted', async () => {
    const controller = new AbortController()
    const progress = vi.fn(() => controller.abort())
    const options = { ...common, runs: forcedRuns([]), signal: controller.signal, progress }
    await expect(benchmark(bench().engine, options)).rejects.toThrow()
    expect(progress).toHaveBeenCalledTimes(2)
  })
})
