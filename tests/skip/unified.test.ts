import { describe, expect, it } from 'vitest'
import { unified } from '../../src/skip/unified.js'
import { skippedSublayers } from './sets.js'

function keptLayers(layers: number, speedup: number, form: 'even' | 'published'): number[] {
  const skipped = skippedSublayers(unified({ speedup, form, layers }), layers)
  return Array.from({ length: layers }, (_, layer) => layer).filter((layer) => {
    // Layers are left out as a whole.
    expect(skipped.includes(2 * layer)).toBe(skipped.includes(2 * layer + 1))
    return !skipped.includes(2 * layer)
  })
}

const range = (from: number, to: number, step = 1) =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step)

describe('unified layer skipping', () => {
  // As the authors' code gives for BLOOMZ-7B; the last one is where its formula drops a block.
  it.each([
    [30, 2, [...range(0, 26, 2), 29]],
    [30, 3, [...range(0, 24, 3), 29]],
    [30, 5, [0, 6, 12, 18, 24, 29]],
    [30, 10, [0, 15, 29]],
    [28, 1.25, [...range(0, 20), 27]],
  ])('published, %i layers at %f', (layers, speedup, kept) => {
    expect(keptLayers(layers, speedup, 'published')).toEqual(kept)
  })

  it.each([
    [5, 2, [0, 4]],
    [8, 2, [0, 2, 5, 7]],
    [9, 3, [0, 4, 8]],
    [28, 1.25, range(0, 27).filter((layer) => ![2, 7, 11, 16, 20, 25].includes(layer))],
  ])('even, %i layers at %f', (layers, speedup, kept) => {
    expect(keptLayers(layers, speedup, 'even')).toEqual(kept)
  })

  it.each(['even', 'published'] as const)(
    '%s: keeps as many layers as the speed-up says, the ends among them',
    (form) => {
      for (const layers of range(2, 40)) {
        for (const speedup of [1, 1.1, 1.5, 2, 3, layers / 2, layers / (layers - 1)]) {
          if (speedup > layers / 2) continue
          const kept = keptLayers(layers, speedup, form)
          expect(kept).toHaveLength(Math.floor(Number((layers / speedup).toFixed(6))))
          expect([kept[0], kept.at(-1)]).toEqual([0, layers - 1])
        }
      }
    },
  )

  it('reads prompts with all layers, and makes keys and values of those that decoding skips', () => {
    const policy = unified({ speedup: 2, form: 'even', layers: 6 })
    expect(skippedSublayers(policy, 6, 'prefill')).toEqual([])
    expect(policy.keysValues).toBe('projected')
  })

  it('does not go below two layers', () => {
    expect(() => unified({ speedup: 3, form: 'even', layers: 5 })).toThrow(
      expect.objectContaining({ code: 'bad-option', message: expect.stringContaining('2.5 at most') }),
    )
  })
})
