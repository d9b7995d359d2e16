import { idsOfText, textOfIds } from '../models/token-names.js'
import type { PageModel, PeerEngine } from './host.js'
import { importPeer } from './import-peer.js'

/** What is used of @wllama/wllama, which is installed only where the benchmark runs. */
interface WllamaModule {
  readonly Wllama: new (paths: { default: string }, config: { logger: Logger }) => Wllama
}

type Logger = Readonly<Record<'debug' | 'log' | 'warn' | 'error', (...said: unknown[]) => void>>

interface Wllama {
  setCompat(compat: { worker: string; wasm: string }, mode: 'firefox_safari'): void
  loadModel(files: readonly Blob[], options: object): Promise<void>
  createCompletion(request: object): Promise<AsyncIterable<{ choices: readonly { text: string }[] }>>
}

const PACKAGE = '/peers/@wllama/wllama/esm/'
const COMPAT = '/peers/@wllama/wllama-compat/wasm/'

/** llama.cpp in wasm, on the GPU or on as many threads as the machine has cores. */
export async function openWllama(device: 'webgpu' | 'wasm'): Promise<PeerEngine> {
  const { Wllama } = await importPeer<WllamaModule>(`${PACKAGE}index.js`)
  const said: string[] = []
  const hear = (...parts: unknown[]) => void said.push(parts.join(' '))
  const logger = { debug: hear, log: hear, warn: hear, error: hear }
  const wllama = new Wllama({ default: `${PACKAGE}wasm/wllama.wasm` }, { logger })
  // Where the browser cannot suspend wasm, only this build has WebGPU.
  if (device === 'webgpu') {
    wllama.setCompat({ worker: `${COMPAT}wllama.js`, wasm: `${COMPAT}wllama.wasm` }, 'firefox_safari')
  }
  return new LlamaCpp(wllama, device, said)
}

class LlamaCpp implements PeerEngine {
  readonly #wllama: Wllama
  readonly #device: 'webgpu' | 'wasm'

  readonly #said: readonly string[]

  constructor(wllama: Wllama, device: 'webgpu' | 'wasm', said: readonly string[]) {
    this.#wllama = wllama
    this.#device = device
    this.#said = said
  }

  async load({ url, contextLength }: PageModel): Promise<void> {
    const response = await fetch(`${url}model.gguf`)
    await this.#wllama.loadModel([await response.blob()], {
      n_ctx: contextLength,
      n_batch: 512,
      n_parallel: 1,
      n_threads: navigator.hardwareConcurrency,
      ...(this.#device === 'wasm' && { n_gpu_layers: 0 }),
    })
    // It says so only in its log.
    if (this.#device === 'webgpu' && !this.#said.some((line) => line.includes('using device WebGPU'))) {
      const adapter = await navigator.gpu.requestAdapter()
      const f16 = adapter?.features.has('shader-f16') ? 'has' : 'does not have'
      throw new Error(`llama.cpp takes no WebGPU device here and goes on the CPU; the adapter ${f16} shader-f16.`)
    }
  }

  async generate(prompt: readonly number[], count: number, onToken: (id: number) => void): Promise<void> {
    const chunks = await this.#wllama.createCompletion({
      prompt: textOfIds(prompt),
      stream: true,
      max_tokens: count,
      temperature: 0,
      top_k: 1,
      ignore_eos: true,
      cache_prompt: false,
    })
    for await (const { choices } of chunks) {
      for (const { text } of choices) idsOfText(text).forEach(onToken)
    }
  }
}
