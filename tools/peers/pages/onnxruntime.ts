import { pastName, presentName } from '../models/cache-names.js'
import type { PageModel, PeerEngine } from './host.js'
import { importPeer } from './import-peer.js'

/** What is used of onnxruntime-web, which is installed only where the benchmark runs. */
interface Ort {
  readonly env: {
    readonly wasm: { wasmPaths: string; numThreads: number }
    readonly webgpu: { readonly device: Promise<GPUDevice> | GPUDevice }
    logLevel: string
  }
  readonly InferenceSession: { create(url: string, options: object): Promise<OrtSession> }
  readonly Tensor: new (type: string, data: ArrayBufferView, dims: readonly number[]) => OrtTensor
}

interface OrtSession {
  run(feeds: Readonly<Record<string, OrtTensor>>): Promise<Record<string, OrtTensor>>
}

interface OrtTensor {
  readonly data: ArrayLike<bigint>
  dispose(): void
}

const FOLDER = '/peers/onnxruntime-web/dist/'

/** What goes on while the page waits for a step. */
export type Waiting = <T>(device: () => Promise<GPUDevice>, step: Promise<T>) => Promise<T>

/** ONNX Runtime, driven directly: keys and values stay on the GPU, one token id comes back per step. */
export async function openOnnxRuntime(wait: Waiting): Promise<PeerEngine> {
  // The build that suspends through the browser is smaller than the one that rewinds its stack.
  const build = 'Suspending' in WebAssembly ? 'ort.jspi.bundle.min.mjs' : 'ort.webgpu.bundle.min.mjs'
  const ort = await importPeer<Ort>(`${FOLDER}${build}`)
  ort.env.wasm.wasmPaths = new URL(FOLDER, location.href).href
  ort.env.wasm.numThreads = navigator.hardwareConcurrency
  return new OnnxRuntime(ort, wait)
}

class OnnxRuntime implements PeerEngine {
  readonly #ort: Ort
  readonly #wait: Waiting
  #model: PageModel | undefined
  #session: OrtSession | undefined

  constructor(ort: Ort, wait: Waiting) {
    this.#ort = ort
    this.#wait = wait
  }

  async load(model: PageModel): Promise<void> {
    this.#model = model
    const kept = caches(model).map(({ present }) => [present, 'gpu-buffer'] as const)
    this.#session = await this.#ort.InferenceSession.create(`${model.url}model.onnx`, {
      executionProviders: ['webgpu'],
      preferredOutputLocation: { token: 'cpu', ...Object.fromEntries(kept) },
    })
  }

  async generate(prompt: readonly number[], count: number, onToken: (id: number) => void): Promise<void> {
    const { Tensor } = this.#ort
    const { kvHeads, headDim } = this.#model!
    const names = caches(this.#model!)
    let past = names.map(() => new Tensor('float32', new Float32Array(0), [1, kvHeads, 0, headDim]))
    let ids = prompt
    let total = 0
    for (let step = 0; step < count; step++) {
      total += ids.length
      const feeds: Record<string, OrtTensor> = {
        input_ids: new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]),
        seqlens_k: new Tensor('int32', Int32Array.of(total - 1), [1]),
        total: new Tensor('int32', Int32Array.of(total), []),
      }
      names.forEach((name, i) => {
        feeds[name.past] = past[i]!
      })
      const results = await this.#wait(async () => this.#ort.env.webgpu.device, this.#session!.run(feeds))
      for (const tensor of past) tensor.dispose()
      past = names.map(({ present }) => results[present]!)
      const id = Number(results.token!.data[0])
      onToken(id)
      ids = [id]
    }
    for (const tensor of past) tensor.dispose()
  }
}

function caches({ layers }: PageModel): { past: string; present: string }[] {
  return Array.from({ length: layers }, (_, layer) =>
    (['key', 'value'] as const).map((of) => ({ past: pastName(layer, of), present: presentName(layer, of) })),
  ).flat()
}
