/** Golden cases in the form that compare.ts and run-case.ts take. They read files, so they stay in Node. */

import { join } from 'node:path'
import { dense, type PolicyRequest, policy, skipgpt } from '../../src/sdk/policies.js'
import { type Bitmaps, type ModelGolden, type ModelMode, readJson } from '../fixtures/golden.js'
import type { OwnGolden, OwnGoldenCase } from '../fixtures/own-golden.js'
import type { Expected, Near } from './compare.js'
import type { Case } from './run-case.js'

/** Models with golden runs in ../shared. */
export const SHARED_MODELS = ['stories260k', 'tinystories-656k'] as const

/** Modes that load the same files share a model; `dense` needs none and goes with the first. */
export const SHARED_LOADS = [
  ['dense', 'skipgpt-25', 'skipgpt-25-delta'],
  ['skipgpt-40', 'skipgpt-40-post-attention'],
  ['skipgpt-25-lora'],
  ['skipgpt-40-lora'],
  ['skipgpt-mlp-router'],
  ['gateskip'],
]

/** Modes that need a profile; each has its own. */
export const STATIC_LOADS = [['static-a'], ['static-b']]

/** What a run of a mode in ../shared needs, and what it must give. */
export function sharedCase(golden: ModelGolden, prompt: string, mode: string): { run: Case; expected: Expected } {
  const found = golden.find(prompt, mode)
  const { ids } = golden.prompts.find(({ id }) => id === prompt)!
  const floats = (name: string) => Array.from(golden.tensor(prompt, mode, name).data)
  const options = golden.modes[mode]!
  const expected: Expected = {
    logits: floats('logits'),
    greedy: found.greedy,
    meanNll: found.mean_nll,
    near: (found.near ?? []) as Near[],
    minGap: found.greedy_min_gap,
    minGapStep: found.greedy_min_gap_step,
    postAttention: options.mlp_router_input === 'post_attention' || options.kind === 'gateskip',
    // Means of sigmoids: all of them lie close together.
    ...(options.kind === 'gateskip' && { marginLimit: 1e-5 }),
  }
  if (options.kind === 'static') {
    const bits = (columns: number) => staticBits(options, layersOf(golden), columns)
    Object.assign(expected, { prefillExecute: bits(ids.length), decodeExecute: bits(found.greedy.length - 1) })
  }
  if (options.kind === 'skipgpt' || options.kind === 'gateskip') {
    Object.assign(expected, {
      prefillExecute: found.prefill_execute,
      decodeExecute: found.decode_execute,
      marginsPrefill: floats('z_prefill'),
      marginsDecode: floats('z_decode'),
    })
  }
  return { run: { ids, policy: policyOf(options, layersOf(golden)), tokens: found.greedy.length, nll: true }, expected }
}

export function ownCase(golden: OwnGolden, found: OwnGoldenCase): { run: Case; expected: Expected } {
  const { ids } = golden.prompts.find(({ id }) => id === found.prompt)!
  const mode = golden.modes[found.mode]!
  const { delta, mlpRouterInput: input } = mode
  const expected: Expected = {
    logits: found.logits,
    greedy: found.greedy,
    ...(found.prefillExecute && { prefillExecute: found.prefillExecute }),
    ...(found.decodeExecute && { decodeExecute: found.decodeExecute }),
    // The files' smallest margin is above the limit in every case.
    near: [],
    minGap: found.greedyMinGap,
  }
  const policy = delta === undefined ? dense() : skipgpt({ delta, ...(input && { input }) })
  return { run: { ids, policy, tokens: found.greedy.length, nll: false }, expected }
}

/** The sublayers that a static mode skips, with their scales. */
export function staticScales({ skip = {} }: ModelMode): { sublayer: number; scale: number }[] {
  return Object.entries(skip).map(([name, scale]) => {
    const [layer, kind] = name.split('.')
    return { sublayer: 2 * Number(layer) + (kind === 'mlp' ? 1 : 0), scale }
  })
}

function staticBits(mode: ModelMode, layers: number, columns: number): Bitmaps {
  const skipped = new Set(staticScales(mode).map(({ sublayer }) => sublayer))
  const kind = (offset: 0 | 1) =>
    Array.from({ length: layers }, (_, layer) => (skipped.has(2 * layer + offset) ? '0' : '1').repeat(columns))
  return { attention: kind(0), mlp: kind(1) }
}

function layersOf({ folder }: ModelGolden): number {
  return (readJson(join(folder, 'config.json')) as { num_hidden_layers: number }).num_hidden_layers
}

function policyOf(mode: ModelMode, layers: number): PolicyRequest {
  if (mode.kind === 'dense') return dense()
  if (mode.kind === 'gateskip') return policy('gateskip')
  // A profile makes its ranking that of the mode.
  if (mode.kind === 'static') return policy(`adaskip:skip=${staticScales(mode).length / (2 * layers)},online=false`)
  return skipgpt({
    delta: mode.delta ?? 0,
    input: mode.mlp_router_input === 'post_attention' ? 'post-attention' : 'entry',
  })
}
