import type { SkipPolicy } from './policy.js'

/** Every token runs every sublayer. */
export const dense: SkipPolicy = { name: 'dense', decide: () => 'run', threshold: () => 0 }
