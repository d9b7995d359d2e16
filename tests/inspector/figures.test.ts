import { describe, expect, it } from 'vitest'
import { writeCsv } from '../../src/inspector/csv.js'
import { cellAt, GUTTER, gridLayout, scrollToShow, visibleCells } from '../../src/inspector/grid-layout.js'
import { planPicture } from '../../src/inspector/picture.js'
import { ratiosAlong, ratiosByLayer, totalRatios } from '../../src/inspector/ratios.js'
import { Speed } from '../../src/inspector/speed.js'
import { readTrace } from '../../src/inspector/trace-file.js'
import { stepsOf, syntheticTrace } from './synthetic.js'

const zeros = (pattern: string) => pattern.replaceAll('1', '').length

describe('ratios', () => {
  const trace = syntheticTrace({ layers: 5, tokens: 47 })
  const store = readTrace(trace)
  const sum = (kind: 'attention' | 'mlp', from = 0, to = 47) =>
    trace.steps.slice(from, to).reduce((total, step) => total + zeros(step[kind]), 0)

  it('by layer and kind are those of the patterns', () => {
    ratiosByLayer(store).forEach((shares, layer) => {
      for (const kind of ['attention', 'mlp'] as const) {
        expect(shares[kind]).toBeCloseTo(trace.steps.filter((step) => step[kind][layer] === '0').length / 47, 12)
      }
    })
    const { attention, mlp, total } = totalRatios(store)
    expect(attention).toBeCloseTo(sum('attention') / (47 * 5), 12)
    expect(mlp).toBeCloseTo(sum('mlp') / (47 * 5), 12)
    expect(total).toBeCloseTo((attention + mlp) / 2, 12)
  })

  it('along the text cover every position once', () => {
    const bins = ratiosAlong(store, 10)
    expect(bins.map(({ from }) => from)).toEqual([0, 5, 10, 15, 20, 25, 30, 35, 40, 45])
    for (const { from, to, attention, mlp } of bins) {
      expect(attention).toBeCloseTo(sum('attention', from, to + 1) / (5 * (to + 1 - from)), 12)
      expect(mlp).toBeCloseTo(sum('mlp', from, to + 1) / (5 * (to + 1 - from)), 12)
    }
    expect(bins.at(-1)?.to).toBe(46)
  })
})

describe('CSV', () => {
  it('has one row per position and quotes what has to be', () => {
    const trace = syntheticTrace({ layers: 2, tokens: 4, prompt: 2, margins: true })
    trace.steps[1]!.text = '=1+2'
    trace.steps[2]!.text = 'a "b",\n'
    trace.steps[3] = { ...trace.steps[3]!, attention: '00', mlp: '00', unknown: true }
    delete trace.steps[3]?.marginAttention
    delete trace.steps[3]?.marginMlp
    const [head, first, second, ...rest] = writeCsv(readTrace(trace)).split('\r\n')
    expect(head).toBe(
      'position,token,text,origin,attention,mlp,attention_skipped,mlp_skipped,margin_attention_0,margin_attention_1,margin_mlp_0,margin_mlp_1',
    )
    const { token, attention, mlp, marginAttention, marginMlp } = trace.steps[0]!
    const margins = [...marginAttention!, ...marginMlp!].join(',')
    expect(first).toBe(`0,${token},<s>,prompt,${attention},${mlp},${zeros(attention)},${zeros(mlp)},${margins}`)
    // A spreadsheet would run it otherwise.
    expect(second).toContain(",'=1+2,prompt,")
    expect(rest.join('\r\n')).toMatch(/^2,\d+,"a ""b"",\n",generated,/)
    expect(rest.at(-2)).toMatch(/^3,\d+,[^,]*,generated,,,,,,,,$/)
    expect(rest.at(-1)).toBe('')
  })
})

describe('speed', () => {
  it('is that of prompt and generation, with pauses between calls left out', () => {
    const speed = new Speed()
    const [prompt, ...tokens] = stepsOf(syntheticTrace({ layers: 1, tokens: 31, prompt: 10 }), 10)
    const ended = 1100 + 21 * 50
    speed.start(1000)
    speed.push(prompt!, 1100)
    tokens.forEach((step, i) => {
      speed.push(step, Math.min(ended, 1100 + 50 * (i + 1)))
    })
    expect(speed.prompt).toBeCloseTo(100)
    expect(speed.seconds).toBeCloseTo(21 * 0.05)
    expect(speed.generation).toBeCloseTo((1000 * 20) / (21 * 50))
    speed.start(ended + 60_000)
    speed.push(prompt!, ended + 60_100)
    expect(speed.seconds).toBeCloseTo(21 * 0.05)
    const bins = speed.along(30)
    expect(bins.length).toBe(2)
    expect(bins.reduce((sum, bin) => sum + bin.tokensPerSecond * (speed.seconds / 2), 0)).toBeCloseTo(21)
  })
})

describe('the grid', () => {
  it('draws only what is in view, whatever the length', () => {
    const layout = gridLayout(4000, 64, 12)
    const view = { left: 12_000, top: 30, width: 600, height: 400 }
    const { columns, rows } = visibleCells(layout, view)
    expect(columns).toEqual({ first: 1000, end: Math.ceil((12_000 + 600 - GUTTER) / 12) })
    expect(rows.end).toBeLessThanOrEqual(64)
    expect(visibleCells(layout, { ...view, left: 1e9 }).columns).toEqual({ first: 4000, end: 4000 })
    expect(gridLayout(50_000_000, 64, 12).width).toBeLessThan(17e6)
  })

  it('finds the cell under a point', () => {
    const layout = gridLayout(100, 8, 12)
    const view = { left: 24, top: 0, width: 600, height: 400 }
    expect(cellAt(layout, view, GUTTER + 1, layout.head + 1)).toEqual({ column: 2, row: 0 })
    expect(cellAt(layout, view, GUTTER + 13, layout.head + layout.rowHeight * 7 + 1)).toEqual({ column: 3, row: 7 })
    expect(cellAt(layout, view, GUTTER + 1, 2)).toEqual({ column: 2, row: undefined })
    expect(cellAt(layout, view, 3, 50)).toBeUndefined()
    expect(scrollToShow(50, 12, 0, 120)).toBe(51 * 12 - 120)
    expect(scrollToShow(5, 12, 100, 120)).toBe(60)
    expect(scrollToShow(10, 12, 100, 120)).toBe(100)
  })

  it('becomes a picture that a browser can hold, or says that it cannot', () => {
    for (const [length, sublayers] of [
      [1, 2],
      [60, 24],
      [4000, 64],
      [100_000, 128],
    ] as const) {
      const plan = planPicture({ length, sublayers })!
      expect(plan.width * plan.height).toBeLessThanOrEqual(64e6)
      expect(plan.perBand * plan.bands).toBeGreaterThanOrEqual(length)
    }
    expect(planPicture({ length: 1_000_000, sublayers: 2048 })).toBeUndefined()
  })
})
