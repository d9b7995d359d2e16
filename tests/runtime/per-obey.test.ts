import { expect, it } from 'vitest'
import type { Obey } from '../../shaders/snippets/obey.js'
import { perObey } from '../../src/runtime/per-obey.js'
import { dense } from '../../src/skip/dense.js'
import { forced } from '../../src/skip/forced.js'
import type { SkipPolicy } from '../../src/skip/policy.js'

const mixed: SkipPolicy = { ...forced(), decide: (sublayer) => (sublayer === 3 ? 'routed' : 'run') }
const partly: SkipPolicy = { ...forced(), decide: (sublayer) => (sublayer === 3 ? 'routed' : 'skip') }

it.each<[string, SkipPolicy, boolean, Obey[]]>([
  ['dense', dense, false, ['always']],
  ['all routed', forced(), false, ['skip']],
  ['all routed, masked', forced(), true, ['masked']],
  ['some routed', mixed, false, ['always', 'skip']],
  ['some left out', partly, false, ['skip']],
])('%s: compiles what it runs, and nothing else', async (_, policy, masked, ways) => {
  const made: Obey[] = []
  const of = await perObey({ policy, masked, margins: false }, { sublayers: 4, phase: 'decode' }, async (obey) => {
    made.push(obey)
    return `kernels that obey ${obey}`
  })
  expect(made.sort()).toEqual(ways)
  for (const way of ways) expect(of(way)).toBe(`kernels that obey ${way}`)
  expect(of(undefined)).toBeUndefined()
})
