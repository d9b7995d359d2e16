import { expect, test } from 'vitest'
import { describeParting, parting } from '../../demo/compare/parting.js'
import { check, plan } from '../../demo/compare/plan.js'
import {
  CHOICES,
  describeSetting,
  modelKey,
  policyRequest,
  type Setting,
  takesShare,
} from '../../demo/compare/setting.js'
import { DEFAULT_STATE, NEW_SETTING } from '../../demo/compare/state.js'

const [dense, routed] = DEFAULT_STATE.settings as [typeof NEW_SETTING, typeof NEW_SETTING]

test('settings that share a model run one after the other, the first one first', () => {
  const q8 = { ...dense, dtype: 'q8' } as const
  expect(plan({ ...DEFAULT_STATE, settings: [q8, dense, { ...routed, dtype: 'q8' }, routed] })).toEqual([0, 2, 1, 3])
})

test('a model is the same where all that is loaded is', () => {
  expect(modelKey(dense, '')).toBe(modelKey(routed, ''))
  expect(modelKey({ ...dense, lora: false }, '')).not.toBe(modelKey(dense, ''))
  expect(modelKey({ ...dense, routers: '', lora: false }, '')).toBe(modelKey({ ...dense, routers: '' }, ''))
  // Another model brings its own routers.
  expect(modelKey({ ...dense, routers: '40' }, './m/')).toBe(modelKey(dense, './m/'))
  expect(modelKey(dense, './m/')).not.toBe(modelKey(dense, './n/'))
})

test('settings become requests, and words', () => {
  expect(policyRequest(dense, 3)).toEqual({ name: 'dense', options: {} })
  expect(policyRequest({ ...NEW_SETTING, share: 30 }, 3)).toEqual({ name: 'skipgpt', options: { budget: 0.3 } })
  expect(policyRequest({ ...dense, policy: 'forced', share: 10 }, 3).options).toEqual({ skip: 0.1, seed: 3 })
  const text = (policy: Setting['policy']) => {
    const { name, options } = policyRequest({ ...dense, policy, share: 20 }, 3)
    return `${name}:${Object.entries(options).map(([key, value]) => `${key}=${value}`)}`
  }
  expect(CHOICES.map(({ id }) => id)).toEqual(expect.arrayContaining(['dense', 'skipgpt', 'budget']))
  expect(
    CHOICES.map(({ id }) => id)
      .filter((policy) => takesShare({ policy }))
      .map(text),
  ).toEqual([
    'skipgpt:budget=0.2',
    'first:skip=0.2',
    'random:skip=0.2,seed=3',
    'unified:speedup=1.25',
    'unified:form=published,speedup=1.25',
    'shortgpt:skip=0.2',
    'sleb:skip=0.2',
    'adaskip:skip=0.2',
    'adaskip:online=false,skip=0.2',
    'layerskip:skip=0.2',
    'forced:skip=0.2,seed=3',
  ])
  expect(describeSetting({ ...NEW_SETTING, dtype: 'q8' }, '')).toBe(
    'SkipGPT with a budget 30 %, routers 25 %, with LoRA, q8',
  )
  expect(describeSetting(dense, 'owner/name')).toBe('Dense')
})

test('what cannot run is said before a model is loaded', () => {
  expect(() => check({ ...DEFAULT_STATE, prompt: '' })).toThrow('The prompt is empty')
  const settings = [dense, { ...routed, routers: '' } as const]
  expect(() => check({ ...DEFAULT_STATE, settings })).toThrow('Setting 2 is to skip by routers and has none')
  expect(() => check({ ...DEFAULT_STATE, settings, address: './m/' })).not.toThrow()
})

test('where texts part', () => {
  const words = (a: number[], b: number[]) => describeParting(parting(a, b))
  expect(words([1, 2, 3], [1, 2, 3])).toBe('same text')
  expect(words([1, 2, 3], [1, 5, 3])).toBe('at token 2')
  expect(words([1, 2, 3], [1])).toBe('ends after token 1, setting 1 goes on')
  expect(words([1], [1, 2])).toBe('goes on after token 1, setting 1 ends')
  expect(words([], [])).toBe('same text')
})
