import type { TraceFile } from '../runtime/trace.js'

/** Index of the first token in which two continuations differ; undefined where one begins with the other. */
export function partsAt(a: readonly number[], b: readonly number[]): number | undefined {
  const at = a.findIndex((token, i) => i < b.length && token !== b[i])
  return at < 0 ? undefined : at
}

/** Share of sublayer decisions on which two traces agree, over the positions that both have with the same token. */
export function agreement(a: TraceFile, b: TraceFile): number {
  let same = 0
  let all = 0
  for (let i = 0; i < Math.min(a.steps.length, b.steps.length); i++) {
    const left = a.steps[i] as TraceFile['steps'][number]
    const right = b.steps[i] as TraceFile['steps'][number]
    if (left.token !== right.token) break
    for (const kind of ['attention', 'mlp'] as const) {
      for (let layer = 0; layer < a.layers; layer++) {
        all++
        if (left[kind][layer] === right[kind][layer]) same++
      }
    }
  }
  return all === 0 ? 1 : same / all
}
