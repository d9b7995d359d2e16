import { expect, it } from 'vitest'
import type { Target } from '../../src/runtime/target.js'
import { checkParameters } from '../../src/tuning/memory.js'

const gpu = { device: { limits: { maxBufferSize: 200, maxStorageBufferBindingSize: 100 } } } as Target['gpu']

it('says before anything is made what would train in less room', () => {
  const trained = (floats: number) => [{ data: new Float32Array(12) }, { data: new Float32Array(floats - 12) }]
  expect(() => checkParameters({ gpu }, 'gateskip', trained(25))).not.toThrow()
  expect(() => checkParameters({ gpu }, 'gateskip', trained(26))).toThrow(
    'one buffer would have 104 bytes, and this device allows 100. Train routers instead',
  )
  expect(() => checkParameters({ gpu }, 'lora', trained(26))).toThrow('Choose a smaller rank')
})
