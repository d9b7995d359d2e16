import { expect, it, vi } from 'vitest'
import { loadModel } from '../../src/sdk/load.js'
import type { LoadOptions } from '../../src/sdk/options.js'
import { liveDevices } from '../fixtures/dawn.js'
import { MemorySource } from '../fixtures/memory-source.js'
import { json, parse, type TinyModel, type TinyOptions, tinyModel } from '../fixtures/tiny-model.js'
import { describeSdk, expectError, generated } from './support.js'

interface Raw {
  dtype: string
  shape: number[]
  data: Uint8Array
}

/** A safetensors file of anything, right or wrong. */
function safetensors(tensors: ReadonlyMap<string, Raw>): Uint8Array {
  let offset = 0
  const header = Object.fromEntries(
    Array.from(tensors, ([name, { dtype, shape, data }]) => {
      offset += data.length
      return [name, { dtype, shape, data_offsets: [offset - data.length, offset] }]
    }),
  )
  const head = json(header)
  const parts = [new Uint8Array(new BigUint64Array([BigInt(head.length)]).buffer), head]
  const bytes = [...parts, ...Array.from(tensors.values(), ({ data }) => data)]
  const file = new Uint8Array(bytes.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of bytes) {
    file.set(part, at)
    at += part.length
  }
  return file
}

/** The model's file with its tensors changed. */
function withTensors(tiny: TinyModel, change: (tensors: Map<string, Raw>) => void): Uint8Array {
  const tensors = new Map<string, Raw>()
  for (const [name, { shape, data }] of tiny.tensors) {
    tensors.set(name, { dtype: 'F32', shape: [...shape], data: new Uint8Array(data.slice().buffer) })
  }
  change(tensors)
  return safetensors(tensors)
}

/** The adapter, calling `count` for every shader module that its devices make. */
function countShaders(adapter: GPUAdapter | null, count: () => void): GPUAdapter {
  const requestDevice = adapter!.requestDevice.bind(adapter)
  return Object.assign(adapter!, {
    async requestDevice(descriptor?: GPUDeviceDescriptor) {
      const device = await requestDevice(descriptor)
      const make = device.createShaderModule.bind(device)
      device.createShaderModule = (shader) => {
        count()
        return make(shader)
      }
      return device
    },
  })
}

const DOWN = 'model.layers.1.mlp.down_proj.weight'
const NORM = 'model.layers.2.input_layernorm.weight'
const WEIGHTS = 'model.safetensors'

const BAD_FILES: [string, string, (tiny: TinyModel, file: Uint8Array) => Uint8Array | undefined][] = [
  ['missing', 'not-found', () => undefined],
  ['cut off at its end', 'bad-file', (_, file) => file.slice(0, -10)],
  ['cut off in its header', 'bad-file', (_, file) => file.slice(0, 100)],
  ['cut off in its length', 'bad-file', (_, file) => file.slice(0, 5)],
  ['empty', 'bad-file', () => new Uint8Array()],
  [
    'with a header larger than itself',
    'bad-file',
    (_, file) => {
      new DataView(file.buffer).setBigUint64(0, 90_000_000n, true)
      return file
    },
  ],
  [
    'with a header of a terabyte',
    'bad-file',
    (_, file) => {
      new DataView(file.buffer).setBigUint64(0, 1n << 40n, true)
      return file
    },
  ],
  [
    'that is a Git LFS pointer',
    'bad-file',
    () => new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n'),
  ],
  ['that is no safetensors', 'bad-file', () => new Uint8Array(4096).fill(0x20)],
  ['with a transposed matrix', 'bad-file', (tiny) => withTensors(tiny, (t) => t.get(DOWN)!.shape.reverse())],
  [
    'with a short norm',
    'bad-file',
    (tiny) => withTensors(tiny, (t) => t.set(NORM, { dtype: 'F32', shape: [31], data: new Uint8Array(124) })),
  ],
  [
    'with a matrix of I8',
    'unsupported',
    (tiny) => withTensors(tiny, (t) => t.set(DOWN, { dtype: 'I8', shape: [32, 48], data: new Uint8Array(32 * 48) })),
  ],
  [
    'with a norm of I8',
    'unsupported',
    (tiny) => withTensors(tiny, (t) => t.set(NORM, { dtype: 'I8', shape: [32], data: new Uint8Array(32) })),
  ],
  [
    'of a dtype from the future',
    'unsupported',
    (tiny) => withTensors(tiny, (t) => t.set(DOWN, { dtype: 'F3', shape: [32, 48], data: new Uint8Array(576) })),
  ],
  ['without a matrix', 'missing-tensor', (tiny) => withTensors(tiny, (t) => t.delete(DOWN))],
  ['without a norm', 'missing-tensor', (tiny) => withTensors(tiny, (t) => t.delete(NORM))],
  ['without its head', 'missing-tensor', (tiny) => withTensors(tiny, (t) => t.delete('lm_head.weight'))],
]

const BAD_CONFIGS: [string, string, Record<string, unknown>][] = [
  ['an unknown architecture', 'unsupported', { model_type: 'gpt_neox' }],
  ['a head size that the kernels cannot lay out', 'unsupported', { head_dim: 6 }],
  ['heads that are not whole', 'bad-file', { hidden_size: 33 }],
  ['another hidden size', 'bad-file', { hidden_size: 64 }],
  ['more layers than the file', 'missing-tensor', { num_hidden_layers: 4 }],
  ['no layers', 'bad-file', { num_hidden_layers: 0 }],
  ['heads that cannot be shared', 'bad-file', { num_key_value_heads: 3 }],
  ['a vocabulary that the file does not have', 'bad-file', { vocab_size: 101 }],
]

describeSdk('loading', (bench, gpu) => {
  /** Must fail with `code`, leave no device behind, and leave other models alone. */
  async function expectFailure(files: ReadonlyMap<string, Uint8Array>, code: string, options: LoadOptions = {}) {
    const before = liveDevices()
    await expectError(loadModel(new MemorySource(files), { gpu: gpu(), ...options }), code)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(liveDevices(), 'devices left open').toBe(before)
  }
  const filesOf = (options?: TinyOptions) => new Map(tinyModel(options).files)

  it.each(BAD_FILES)('a weight file %s: %s', async (_, code, change) => {
    const tiny = tinyModel()
    const files = new Map(tiny.files)
    const changed = change(tiny, files.get(WEIGHTS)!.slice())
    if (changed) files.set(WEIGHTS, changed)
    else files.delete(WEIGHTS)
    await expectFailure(files, code)
    await bench().stillWorks()
  })

  it.each(BAD_CONFIGS)('a configuration with %s: %s', async (_, code, config) => {
    await expectFailure(filesOf({ config, routers: undefined }), code)
  })

  it('a configuration that is missing, or no JSON', async () => {
    const files = filesOf()
    files.set('config.json', new TextEncoder().encode('{"model_type": "llama",'))
    await expectFailure(files, 'bad-file')
    files.delete('config.json')
    await expectFailure(files, 'not-found')
  })

  it('shards that are missing, or contradict the index', async () => {
    const files = filesOf({ shards: 2 })
    const index = parse(files.get('model.safetensors.index.json')!) as { weight_map: Record<string, string> }
    const [first] = Object.values(index.weight_map)
    const without = new Map(files)
    without.delete(first!)
    await expectFailure(without, 'not-found')
    const map = { ...index.weight_map, [DOWN]: '../elsewhere.safetensors' }
    await expectFailure(new Map(files).set('model.safetensors.index.json', json({ weight_map: map })), 'bad-file')
  })

  it.each([
    ['another width', 'wrong-model', { hiddenSize: 64 }],
    ['fewer layers', 'wrong-model', { layers: 2 }],
    ['more layers', 'wrong-model', { layers: 4 }],
  ] as const)('routers for a model of %s: %s', async (_, code, recipe) => {
    await expectFailure(filesOf(), code, { routers: new MemorySource(tinyModel(recipe).files) })
    await bench().stillWorks()
  })

  it('a router file that is missing, holds no routers, or is cut off', async () => {
    const files = filesOf()
    await expectFailure(files, 'not-found', { routers: new MemorySource(new Map()) })
    const plain = new Map([['routers.safetensors', files.get(WEIGHTS)!]])
    await expectFailure(files, 'missing-weights', { routers: new MemorySource(plain) })
    const cut = new Map([['routers.safetensors', files.get('routers.safetensors')!.slice(0, -4)]])
    await expectFailure(files, 'bad-file', { routers: new MemorySource(cut) })
  })

  it.each([
    ['another width', { hiddenSize: 64 }],
    ['another inner width', { intermediateSize: 64 }],
    ['more layers', { layers: 4 }],
  ] as const)('an adapter for a model of %s', async (_, recipe) => {
    const lora = new MemorySource(tinyModel({ ...recipe, lora: true }).files, 'lora/')
    await expectFailure(filesOf(), 'wrong-model', { lora })
    await bench().stillWorks()
  })

  it('an adapter that is missing, or of an unknown kind', async () => {
    await expectFailure(filesOf(), 'not-found', { lora: new MemorySource(new Map()) })
    const files = tinyModel({ lora: true }).files
    files.set('lora/adapter_config.json', json({ peft_type: 'IA3', r: 4, lora_alpha: 8 }))
    await expectFailure(filesOf(), 'unsupported', { lora: new MemorySource(files, 'lora/') })
  })

  it('no WebGPU, no adapter, no device', async () => {
    const { source } = tinyModel()
    await expectError(loadModel(source), 'no-webgpu')
    const stub = (requestAdapter: () => unknown) => ({ requestAdapter: async () => requestAdapter() }) as unknown as GPU
    await expectError(loadModel(source, { gpu: stub(() => null) }), 'no-adapter')
    const adapter = {
      limits: { maxBufferSize: 1, maxStorageBufferBindingSize: 1 },
      features: new Set(),
      requestDevice: async () => {
        throw new Error('A valid external Instance reference no longer exists.')
      },
    }
    await expectError(loadModel(source, { gpu: stub(() => adapter) }), 'no-adapter')
    await bench().stillWorks()
  })

  it('a source that is no address', async () => {
    await expectError(loadModel('not an address', { gpu: gpu() }), 'bad-option')
  })

  it('abort: before, in every phase, and between two pieces', async () => {
    await expectFailure(filesOf(), 'aborted', { signal: AbortSignal.abort() })
    for (const at of ['config', 'upload', 'pipelines']) {
      const controller = new AbortController()
      const onProgress: LoadOptions['onProgress'] = ({ phase }) => phase === at && controller.abort()
      await expectFailure(filesOf(), 'aborted', { signal: controller.signal, onProgress })
    }
    await bench().stillWorks()
  })

  it('compiles its shaders while weights are read, and none for the first tokens', async () => {
    const load = async () => {
      const count = { compiled: 0, atUploads: [] as number[] }
      const counting = new Proxy(gpu(), {
        get: (target, key) =>
          key === 'requestAdapter'
            ? async () => countShaders(await target.requestAdapter(), () => count.compiled++)
            : undefined,
      })
      const model = await loadModel(tinyModel().source, {
        gpu: counting,
        onProgress: ({ phase }) => phase === 'upload' && count.atUploads.push(count.compiled),
      })
      return { model, count }
    }
    const used = await load()
    expect(used.count.atUploads[0]).toBeGreaterThan(0)
    const first = async ({ model, count }: typeof used, policy: string) => {
      using session = model.createSession({ policy })
      await generated(session, [1, 5, 6], { maxTokens: 3 })
      return count.compiled
    }
    const skipping = await first(used, 'skipgpt')
    // On an adapter that compiles and computes on the same cores, nothing is compiled that nobody has asked for.
    expect(await first(used, 'dense')).toBeGreaterThan(skipping)
    used.model.dispose()
    // What decodes is compiled behind the load.
    const unused = await load()
    await vi.waitFor(() => expect(unused.count.compiled).toBe(skipping), { timeout: 60_000, interval: 100 })
    expect(await first(unused, 'skipgpt')).toBe(skipping)
    unused.model.dispose()
  })

  it('says how far it is', async () => {
    const progress: { phase: string; loaded: number; total: number }[] = []
    const { source } = tinyModel()
    const model = await loadModel(source, { gpu: gpu(), onProgress: (p) => progress.push({ ...p }) })
    const upload = progress.filter(({ phase }) => phase === 'upload')
    expect(upload.length).toBeGreaterThan(10)
    expect(upload.map(({ loaded }) => loaded)).toEqual(upload.map(({ loaded }) => loaded).sort((a, b) => a - b))
    const last = upload.at(-1)!
    expect(last.loaded / last.total).toBeGreaterThan(0.9)
    expect(progress.at(-1)!.phase).toBe('ready')
    model.dispose()
    expect(model.gpuBytes).toBe(0)
  })
})
