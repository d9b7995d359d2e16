import { expect, it } from 'vitest'
import { GpuMemory } from '../../src/gpu/memory.js'
import type { Target } from '../../src/runtime/target.js'
import { checkParameters } from '../../src/tuning/memory.js'

const device = { limits: { maxBufferSize: 200, maxStorageBufferBindingSize: 100 } } as GPUDevice
const gpu = { memory: new GpuMemory(device) } as Target['gpu']

it('refuses parameters that fit in no buffer', () => {
  expect(() => checkParameters({ gpu }, 100, 'Train less.')).not.toThrow()
  expect(() => checkParameters({ gpu }, 104, 'Train less.')).toThrow(
    'one buffer would have 104 bytes, and this device allows 100. Train less.',
  )
})
