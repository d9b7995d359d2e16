import 'fake-indexeddb/auto'
import { createStore, entries } from 'idb-keyval'
import { beforeEach, expect, it, vi } from 'vitest'
import { loadEngineModel } from '../../src/sdk/load-model.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { tinyModel } from '../fixtures/tiny-model.js'

/** What the search finds, and how often it was made. */
const search = vi.hoisted(() => ({ finds: undefined as string | undefined, times: 0 }))

vi.mock('../../src/runtime/fastest-form.js', () => ({
  async fastestForm() {
    search.times++
    if (search.finds === undefined) throw new Error('lost')
    return search.finds
  },
}))

describeWithGpu('forms that were found to be the fastest', (gpu) => {
  beforeEach(() => {
    search.times = 0
  })

  /** The same device under the name of one that is no software. */
  const disguised = (real: GPU, vendor: string): GPU =>
    ({
      wgslLanguageFeatures: real.wgslLanguageFeatures,
      async requestAdapter(options: GPURequestAdapterOptions) {
        const adapter = (await real.requestAdapter(options))!
        const { features, limits } = adapter
        const info = { vendor, architecture: '', device: '', description: '' }
        return { features, limits, info, requestDevice: (wanted: GPUDeviceDescriptor) => adapter.requestDevice(wanted) }
      },
    }) as unknown as GPU
  const load = async (device: GPU) => {
    using model = await loadEngineModel(tinyModel().source, { gpu: device })
    return model.device.kernels
  }
  const kept = async () => (await entries(createStore('skipstone-devices', 'forms'))).map(([, form]) => form)

  it('are looked for once, and come first from the next load on', async () => {
    search.finds = 'shared-rows'
    expect(await load(disguised(gpu(), 'acme'))).toBe('subgroup-rows')
    await vi.waitFor(async () => expect(await kept()).toEqual(['shared-rows']))
    expect(await load(disguised(gpu(), 'acme'))).toBe('shared-rows')
    expect(search.times).toBe(1)
    // Of another device nothing is known.
    expect(await load(disguised(gpu(), 'other'))).toBe('subgroup-rows')
    await vi.waitFor(() => expect(search.times).toBe(2))
  })

  it('do not matter where the search fails, and software is not searched', async () => {
    search.finds = undefined
    const before = await kept()
    expect(await load(disguised(gpu(), 'failing'))).toBe('subgroup-rows')
    await vi.waitFor(() => expect(search.times).toBe(1))
    expect(await load(disguised(gpu(), 'failing'))).toBe('subgroup-rows')
    expect(await load(gpu())).toMatch(/^serial-/)
    expect(await kept()).toEqual(before)
  })
})
