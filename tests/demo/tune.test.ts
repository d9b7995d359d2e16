import { expect, it } from 'vitest'
import { Pace } from '../../demo/tune/pace.js'
import { check, describe, optionsOf, type TuneRequest } from '../../demo/tune/request.js'

const REQUEST: TuneRequest = {
  ...{ address: '', dtype: 'stored', stage: 'routers', routers: 'new', text: undefined, target: 0.25 },
  ...{ steps: undefined, batch: undefined, context: undefined, sampled: undefined, learningRate: undefined },
}

it('tells the time left by the newest steps, and leaves pauses out', () => {
  const pace = new Pace()
  expect(pace.left(10)).toBe('')
  pace.add(0)
  expect(pace.left(10)).toBe('')
  for (let i = 1; i <= 30; i++) pace.add(9000 + 2000 * i)
  expect(pace.left(10)).toBe('20 s left')
  pace.rest()
  expect(pace.left(10)).toBe('')
  pace.add(1_000_000)
  pace.add(1_003_000)
  expect(pace.left(3)).toBe('9 s left')
  expect(pace.left(0)).toBe('')
})

it('says what cannot be trained', () => {
  expect(() => check(REQUEST)).not.toThrow()
  for (const target of [0, 0.95, -1, Number.NaN]) {
    expect(() => check({ ...REQUEST, target })).toThrow('above 0 and at most 90 %')
  }
  expect(() => check({ ...REQUEST, stage: 'gateskip', target: 0.95 })).toThrow('above 0 and at most 90 %')
  expect(() => check({ ...REQUEST, stage: 'lora' })).toThrow('A LoRA trains under routers that have learned')
  expect(() => check({ ...REQUEST, stage: 'lora', routers: 'own', target: Number.NaN })).not.toThrow()
  expect(() => check({ ...REQUEST, text: ' \n' })).toThrow('There is no text to train on')
})

it('asks the library for what the form says, and for its defaults where that says nothing', () => {
  const options = optionsOf({ ...REQUEST, batch: 2 })
  expect(options).toMatchObject({ stage: 'routers', target: 0.25, data: 'self', batch: 2, existing: 'replace' })
  expect(options.steps).toBeUndefined()
  const healing = optionsOf({ ...REQUEST, stage: 'lora', routers: 'trained', text: 'x' })
  expect(healing).toMatchObject({ stage: 'lora', data: { text: 'x' } })
  expect(healing).not.toHaveProperty('target')
  expect(optionsOf({ ...REQUEST, routers: 'own' }).existing).toBe('continue')
  const gates = optionsOf({ ...REQUEST, stage: 'gateskip' })
  expect(gates).toMatchObject({ stage: 'gateskip', target: 0.25, existing: 'replace' })
})

it('describes a run', () => {
  expect(describe(REQUEST)).toBe('routers that skip 25 % of Pebble, on its own text')
  expect(describe({ ...REQUEST, stage: 'gateskip' })).toBe('gates that skip 25 % of Pebble, on its own text')
  expect(describe({ ...REQUEST, address: './m/', stage: 'lora', text: 'x' })).toBe('a LoRA for ./m/, on your text')
})
