import { SkipstoneError } from '../errors.js'

/** What a shader does with a binding; the order of a list is the binding's number. */
export type Binding = 'read' | 'write' | 'uniform' | 'none'

const BUFFER_TYPES: Record<Exclude<Binding, 'none'>, GPUBufferBindingType> = {
  read: 'read-only-storage',
  write: 'storage',
  uniform: 'uniform',
}

/** A compiled shader with its explicit layout: bindings that a variant does not touch may still be bound. */
export interface CompiledKernel {
  readonly label: string
  readonly pipeline: GPUComputePipeline
  readonly layout: GPUBindGroupLayout
  readonly bindings: readonly Binding[]
}

/** Compiles each distinct shader once, asynchronously and in parallel. */
export class PipelineCache {
  readonly #compiled = new Map<string, Promise<CompiledKernel>>()

  constructor(private readonly device: GPUDevice) {}

  /** @throws `internal` with the expanded source's message where the shader does not compile on this device. */
  compile(label: string, code: string, bindings: readonly Binding[]): Promise<CompiledKernel> {
    const known = this.#compiled.get(code)
    if (known) return known
    const compiled = this.#compile(label, code, bindings)
    this.#compiled.set(code, compiled)
    return compiled
  }

  async #compile(label: string, code: string, bindings: readonly Binding[]): Promise<CompiledKernel> {
    const layout = this.device.createBindGroupLayout({
      label,
      entries: bindings.flatMap((kind, binding) =>
        kind === 'none'
          ? []
          : [{ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type: BUFFER_TYPES[kind] } as const }],
      ),
    })
    // The scope keeps a bad shader from being reported a second time, as an error that nobody caught.
    this.device.pushErrorScope('validation')
    const module = this.device.createShaderModule({ label, code })
    const scope = this.device.popErrorScope().catch(() => null)
    try {
      const pipeline = await this.device.createComputePipelineAsync({
        label,
        layout: this.device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: 'main' },
      })
      await scope
      return { label, pipeline, layout, bindings }
    } catch (cause) {
      const info = await module.getCompilationInfo()
      const messages = info.messages.map((m) => `${m.lineNum}:${m.linePos} ${m.message}`).join('\n')
      throw new SkipstoneError(
        'internal',
        `The shader ${label} does not compile on this device; please report this. ${messages || String(cause)}`,
        { cause },
      )
    }
  }
}
