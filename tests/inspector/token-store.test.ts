import { describe, expect, it } from 'vitest'
import { TokenStore } from '../../src/inspector/token-store.js'
import { writeTrace } from '../../src/inspector/trace-file.js'
import { stepsOf, syntheticTrace } from './synthetic.js'

/** 17 layers: two words a position, of which the second is almost empty. */
const trace = syntheticTrace({ layers: 17, tokens: 60, prompt: 10, margins: true })

function storeOf(source = trace, prompt = 10): TokenStore {
  const store = new TokenStore(source.layers, source.title)
  for (const step of stepsOf(source, prompt)) {
    const pieces = source.steps.slice(0, prompt).map(({ text, special }) => ({ text, special: special ?? false }))
    store.push(step, step.kind === 'prompt' ? pieces : [])
  }
  return store
}

/** Totals from nothing but the cells. */
function counted(store: TokenStore): { skipped: number[]; run: number } {
  const ran = Array.from({ length: store.length }, (_, i) => i).filter((i) => store.hasRun(i))
  const skipped = Array.from({ length: store.sublayers }, (_, s) => ran.filter((i) => !store.executed(i, s)).length)
  return { skipped, run: ran.length }
}

function totals(store: TokenStore): { skipped: number[]; run: number } {
  return { skipped: Array.from({ length: store.sublayers }, (_, s) => store.skippedAt(s)), run: store.runCount }
}

describe('a live text', () => {
  it('holds what the steps of a session said', () => {
    const store = storeOf()
    expect(store.length).toBe(60)
    expect(store.runCount).toBe(59)
    trace.steps.slice(0, 59).forEach((step, position) => {
      expect(store.pattern(position, 'attention')).toBe(step.attention)
      expect(store.pattern(position, 'mlp')).toBe(step.mlp)
      expect(store.margin(position, 2 * 16 + 1)).toBe(step.marginMlp![16])
      expect(store.token(position)).toMatchObject({ id: step.token, text: step.text, origin: step.origin, ran: true })
    })
    expect(store.token(59).ran).toBe(false)
    expect(store.ranLength).toBe(59)
    expect(totals(store)).toEqual(counted(store))
  })

  it('counts what a position ran, by kind', () => {
    const store = storeOf()
    const ones = (pattern: string) => pattern.replaceAll('0', '').length
    const { attention, mlp } = trace.steps[20]!
    expect(store.countRan(20, 'attention')).toBe(ones(attention))
    expect(store.countRan(20, 'mlp')).toBe(ones(mlp))
    expect(store.countRan(20)).toBe(ones(attention) + ones(mlp))
  })

  it('keeps its totals right through rewinds and another text behind them', () => {
    const store = storeOf()
    const mean = store.meanMargin
    store.rewind(25)
    expect(store.length).toBe(25)
    expect(totals(store)).toEqual(counted(store))
    const other = syntheticTrace({ layers: 17, tokens: 60, prompt: 10, seed: 2 })
    const [, ...tokens] = stepsOf(other, 10)
    for (const step of tokens.slice(15, 40)) store.push(step)
    expect(totals(store)).toEqual(counted(store))
    expect(store.pattern(30, 'mlp')).toBe(other.steps[30]!.mlp)
    expect(store.token(30).hasMargins).toBe(false)
    expect(store.token(20).hasMargins).toBe(true)
    store.rewind(0)
    expect(store.meanMargin).toBe(0)
    expect(mean).toBeGreaterThan(0)
    expect(totals(store)).toEqual(counted(store))
  })

  it('keeps text and origin of tokens that a later prompt repeats, and takes its decisions', () => {
    const store = storeOf()
    const tokens = [trace.steps[59]!.token, 7]
    const words = store.words
    const executed = new Uint32Array(2 * words).fill(0xffffffff)
    store.push({ kind: 'prompt', text: '', position: 59, tokens, executed }, [])
    expect(store.length).toBe(61)
    expect(store.token(59)).toMatchObject({ text: trace.steps[59]!.text, origin: 'generated', ran: true })
    expect(store.token(60)).toMatchObject({ id: 7, text: undefined, origin: 'prompt', ran: true })
  })

  it('gives text that was held back to the last token that was kept', () => {
    const store = storeOf()
    const before = store.token(59).text
    const kept = Array.from({ length: 50 }, () => 1)
    store.push({ kind: 'end', text: 'é!', executed: new Uint32Array(0), finishReason: 'length', tokens: kept })
    expect(store.token(59).text).toBe(`${before}é!`)
    store.push({ kind: 'end', text: '', executed: new Uint32Array(0), finishReason: 'stop', tokens: kept.slice(0, 30) })
    expect(store.length).toBe(40)
  })
})

describe('steps that cannot be shown', () => {
  it.each([0, -1, 1.5, 1025, Number.NaN])('%s layers', (layers) => {
    expect(() => new TokenStore(layers)).toThrow(expect.objectContaining({ code: 'bad-option' }))
  })

  it('a step of another model, or with a gap, leaves what is shown as it is', () => {
    const store = storeOf()
    const before = JSON.stringify(writeTrace(store))
    const executed = new Uint32Array(store.words)
    const bad = [
      { kind: 'token', text: '', token: 1, position: 59, executed: new Uint32Array(1) },
      { kind: 'token', text: '', token: 1, position: 70, executed },
      { kind: 'token', text: '', token: 1, position: 59, executed, margins: new Float32Array(3) },
      { kind: 'prompt', text: '', tokens: [1, 2], position: 60, executed },
    ] as const
    for (const step of bad) {
      expect(() => store.push(step)).toThrow(expect.objectContaining({ code: 'bad-option' }))
      expect(JSON.stringify(writeTrace(store))).toBe(before)
    }
  })
})
