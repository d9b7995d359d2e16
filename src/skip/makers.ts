import { adaskip } from './adaskip.js'
import { DLO_TENSORS, dlo, readDlo } from './dlo.js'
import { first } from './first.js'
import { forced } from './forced.js'
import { GATESKIP_TENSORS, type GateSkipOptions, gateskip, readGateSkip } from './gateskip.js'
import { layerskip } from './layerskip.js'
import { litestage } from './litestage.js'
import { MINDSKIP_TENSORS, mindskip, readMindSkip } from './mindskip.js'
import type { Drafts, SkipPolicy } from './policy.js'
import type { PolicyContext, PolicyRequest } from './policy-context.js'
import { random } from './random.js'
import { shortgpt } from './shortgpt.js'
import { sleb } from './sleb.js'
import { speculative } from './speculative.js'
import { type UnifiedForm, unified } from './unified.js'

/** Joins a policy's options with a model. */
type Maker<O> = (options: O, context: PolicyContext) => SkipPolicy | Promise<SkipPolicy>

/** By name; what their options may be is in registry.ts. */
export interface Makers {
  forced: Maker<{ skip: number; seed: number }>
  first: Maker<{ skip: number }>
  random: Maker<{ skip: number; seed: number }>
  unified: Maker<{ speedup: number; form: UnifiedForm }>
  shortgpt: Maker<{ skip: number }>
  sleb: Maker<{ skip: number }>
  adaskip: Maker<{ skip: number; online: 'true' | 'false'; window: number }>
  litestage: Maker<{ budgets: readonly number[]; stage: number }>
  gateskip: Maker<GateSkipOptions>
  dlo: Maker<{ threshold: number; factor: number; gap: number }>
  mindskip: Maker<{ threshold: number; form: 'sequence' | 'token' }>
  flexidepth: Maker<{ threshold: number }>
  dllm: Maker<{ threshold: number }>
  layerskip: Maker<{ skip: number | undefined; exit: number | undefined }>
  speculative: Maker<{ draft: PolicyRequest; length: Drafts['length'] }>
}

export const MAKERS: Makers = {
  forced,
  first: ({ skip }, { layers }) => first({ skip, layers }),
  random: (options, { layers }) => random({ ...options, layers }),
  unified: (options, { layers }) => unified({ ...options, layers }),
  shortgpt: async ({ skip }, { profile }) => shortgpt({ skip, profile: await profile() }),
  sleb: ({ skip }, { layers, profile, loss, once }) =>
    once(`sleb ${skip}`, async () => {
      const { sample } = await profile()
      return sleb({ skip, layers, loss: (policy) => loss(policy, sample) })
    }),
  adaskip: async ({ skip, online, window }, { profile }) =>
    adaskip({ skip, online: online === 'true', window, profile: await profile() }),
  litestage: async (options, { profile }) => litestage({ ...options, profile: await profile() }),
  async gateskip(options, context) {
    const read = async () => readGateSkip(await context.tensors(GATESKIP_TENSORS), context)
    const weights = await context.once('gateskip', read)
    const { skip, threshold, kv, prefill } = options
    return context.once(`gateskip ${skip} ${threshold} ${kv} ${prefill}`, () =>
      gateskip(options, weights, context.margins),
    )
  },
  async dlo(options, context) {
    return dlo(options, await context.once('dlo', async () => readDlo(await context.tensors(DLO_TENSORS), context)))
  },
  async mindskip(options, context) {
    const read = async () => readMindSkip(await context.tensors(MINDSKIP_TENSORS), context)
    return mindskip(options, await context.once('mindskip', read))
  },
  async flexidepth(options, context) {
    const { FLEXIDEPTH_TENSORS, flexidepth, readFlexiDepth } = await import('./flexidepth.js')
    const read = async () => readFlexiDepth(await context.tensors(FLEXIDEPTH_TENSORS), context)
    return flexidepth(options, await context.once('flexidepth', read))
  },
  async dllm(options, context) {
    const { DLLM_TENSORS, dllm, readDllm } = await import('./dllm.js')
    const read = async () => readDllm(await context.tensors(DLLM_TENSORS), context)
    return dllm(options, await context.once('dllm', read))
  },
  layerskip: (options, { layers }) => layerskip({ ...options, layers }),
  speculative: async ({ draft, length }, { resolve, layers }) =>
    speculative({ draft: await resolve(draft), length, layers }),
}
