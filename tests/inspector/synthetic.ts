import type { Step } from '../../src/index.js'
import type { InspectorTrace } from '../../src/inspector/index.js'
import { Prng } from '../fixtures/prng.js'

const WORDS = [' the', ' old', ' sea', ',', ' and', ' a', ' house', '.\n', ' ran', ' wh', 'is', 'per', '', '<', ' said']

/** A trace that looks like one: layers differ, tokens differ, the first `prompt` tokens are the prompt's. */
export function syntheticTrace(o: {
  layers: number
  tokens: number
  prompt?: number
  margins?: boolean
  seed?: number
}): InspectorTrace {
  const prng = new Prng(o.seed ?? 1)
  const bias = Array.from({ length: 2 * o.layers }, () => 1 + prng.normal())
  const steps = Array.from({ length: o.tokens }, (_, position) => {
    const mood = 0.6 * prng.normal()
    const margins = bias.map((b) => Math.fround(b + mood + 0.7 * prng.normal()))
    const pattern = (offset: 0 | 1) =>
      Array.from({ length: o.layers }, (_, l) => (margins[2 * l + offset]! >= 0 ? '1' : '0')).join('')
    const row = (offset: 0 | 1) => Array.from({ length: o.layers }, (_, l) => margins[2 * l + offset]!)
    const special = position === 0
    return {
      position,
      token: prng.below(8000),
      text: special ? '<s>' : WORDS[prng.below(WORDS.length)]!,
      ...(special && { special }),
      origin: position < (o.prompt ?? 10) ? ('prompt' as const) : ('generated' as const),
      attention: pattern(0),
      mlp: pattern(1),
      ...(o.margins && { marginAttention: row(0), marginMlp: row(1) }),
    }
  })
  return { title: 'Pebble, SkipGPT', layers: o.layers, steps }
}

/** The bit words of positions `from` to `to` (excluded), one after the other. */
export function bitWords({ layers, steps }: InspectorTrace, from: number, to: number): Uint32Array {
  const words = Math.ceil((2 * layers) / 32)
  const bits = new Uint32Array((to - from) * words)
  for (let position = from; position < to; position++) {
    const { attention, mlp } = steps[position]!
    for (let s = 0; s < 2 * layers; s++) {
      const ran = (s % 2 === 0 ? attention : mlp)[s >> 1] === '1'
      const word = (position - from) * words + (s >> 5)
      if (ran) bits[word] = bits[word]! + 2 ** (s & 31)
    }
  }
  return bits
}

/** The margins of positions `from` to `to` (excluded); undefined where the trace has none. */
export function marginRows({ steps }: InspectorTrace, from: number, to: number): Float32Array | undefined {
  const rows = steps.slice(from, to).flatMap(({ marginAttention, marginMlp }) => {
    return (marginAttention ?? []).flatMap((margin, layer) => [margin, marginMlp?.[layer] ?? Number.NaN])
  })
  return rows.length > 0 ? Float32Array.from(rows) : undefined
}

/** The steps of a session that leaves this trace: the last token is chosen, but not run. */
export function stepsOf(trace: InspectorTrace, prompt: number): Step[] {
  const { steps } = trace
  const margins = (from: number, to: number) => {
    const rows = marginRows(trace, from, to)
    return rows && { margins: rows }
  }
  const generated = steps.slice(prompt)
  return [
    {
      kind: 'prompt',
      text: '',
      position: 0,
      tokens: steps.slice(0, prompt).map(({ token }) => token),
      executed: bitWords(trace, 0, prompt),
      ...margins(0, prompt),
    },
    ...generated.map(({ token, text, position }) => ({
      kind: 'token' as const,
      text: text ?? '',
      token,
      position: position - 1,
      executed: bitWords(trace, position - 1, position),
      ...margins(position - 1, position),
    })),
    {
      kind: 'end',
      text: '',
      executed: new Uint32Array(0),
      finishReason: 'length',
      tokens: generated.map(({ token }) => token),
    },
  ]
}
