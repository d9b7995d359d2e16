import { describe, expect, it } from 'vitest'
import type { Visits } from '../../tools/peers/compare.js'
import { peerRows } from '../../tools/peers/rows.js'
import { parseSelection } from '../../tools/peers/selection.js'
import type { Visit } from '../../tools/peers/visit.js'

describe('selection of bench:peers', () => {
  it('measures ours with all forms of every peer unless told otherwise', () => {
    expect(parseSelection([])).toEqual({
      shapes: ['syn-15m'],
      browsers: ['chromium', 'firefox'],
      engines: ['skipstone', 'ort', 'ort-pumped', 'wllama-webgpu', 'wllama-wasm'],
      rounds: 3,
      json: false,
    })
  })

  it('takes a peer or one of its forms', () => {
    const argv = [
      '--peers',
      'wllama-wasm,ort',
      '--rounds',
      '1',
      '--json',
      '--shapes',
      'syn-135m',
      '--browsers',
      'firefox',
    ]
    expect(parseSelection(argv)).toEqual({
      shapes: ['syn-135m'],
      browsers: ['firefox'],
      engines: ['skipstone', 'ort', 'ort-pumped', 'wllama-wasm'],
      rounds: 1,
      json: true,
    })
  })

  it.each([
    [['--shapes', 'syn-7b']],
    [['--browsers', 'safari']],
    [['--peers', 'webllm']],
    [['--rounds', '0']],
    [['--round', '2']],
  ])('refuses %j', (argv) => {
    expect(() => parseSelection(argv)).toThrow(expect.objectContaining({ code: 'bad-option' }))
  })
})

describe('rows of bench:peers', () => {
  const visit = (decodeMs: number, ids: readonly number[]): Visit => ({
    loadMs: 10 * decodeMs,
    firstTokenMs: 20 * decodeMs,
    prefillMs: { 64: 4 * decodeMs },
    decodeMs,
    ids,
    codeBytes: 1000 * decodeMs,
    memoryBytes: undefined,
  })
  const visits = (engine: Visits['engine'], done: Visit[], error?: string): Visits => ({
    shape: 'syn-15m',
    browser: 'chromium',
    engine,
    expected: [5, 6, 7],
    done,
    error,
  })

  it('are medians, ratios that are above 1 where we are ahead, and what agrees in the worst round', () => {
    const [ours, peer] = peerRows([
      visits('skipstone', [visit(1, [5, 6, 7]), visit(2, [5, 6, 7]), visit(9, [5, 6, 7])]),
      visits('ort', [visit(8, [5, 6, 7]), visit(4, [5, 0, 7])]),
    ])
    expect(ours).toMatchObject({
      numbers: { loadMs: 20, decode: 500, prefill: { 64: 8000 } },
      agreement: { equal: 3, of: 3 },
    })
    expect(ours).not.toHaveProperty('ratios')
    expect(peer).toMatchObject({
      ratios: { loadMs: 3, firstTokenMs: 3, prefill: { 64: 3 }, decode: 3, codeBytes: 3, memoryBytes: null },
      agreement: { equal: 1, of: 3 },
    })
  })

  it('keep an engine that does not run, with what it said', () => {
    const rows = peerRows([visits('skipstone', [visit(1, [5])]), visits('wllama-webgpu', [], 'No adapter.')])
    expect(rows[1]).toEqual({
      shape: 'syn-15m',
      browser: 'chromium',
      engine: 'wllama-webgpu',
      rounds: 0,
      error: 'No adapter.',
    })
  })
})
