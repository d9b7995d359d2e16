import { type Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { readBuffer } from '../gpu/readback.js'
import { compareStatesKernel } from '../kernels/compare-states.js'
import type { Measured, SkipPolicy, Watch } from '../skip/policy.js'
import type { Program } from './program.js'
import type { Sequence } from './sequence.js'

/** Measures what sublayers do in a sequence's next decode steps. Few policies want to know: this is loaded for them. */
export class Watching {
  readonly #arena: ParamsArena
  readonly #before: GPUBuffer
  readonly #sums: GPUBuffer
  #steps = 0
  #observed: ((program: Program) => Program) | undefined

  constructor(
    private readonly sequence: Sequence,
    private readonly watch: Watch,
  ) {
    const { gpu, shape } = sequence.engine
    this.#arena = new ParamsArena(gpu)
    this.#before = gpu.memory.storage('watched state', 16 * shape.d4)
    this.#sums = gpu.memory.storage('watched sums', 8 * this.#count)
  }

  /** Steps that are still to be watched. */
  get left(): number {
    return this.watch.steps - this.#steps
  }

  /** `steps` of them were taken. */
  count(steps: number): void {
    this.#steps += steps
  }

  /** What decode steps record meanwhile. */
  async observed(): Promise<(program: Program) => Program> {
    this.#observed ??= await this.#observe()
    return this.#observed
  }

  /** What the policy makes of it. */
  async decide(): Promise<SkipPolicy> {
    const sums = new Float32Array((await readBuffer(this.sequence.engine.gpu, this.#sums, 8 * this.#count)).buffer)
    const measured = this.watch.sublayers.map((sublayer, i): Measured => {
      const [similarity, scale] = [2 * i, 2 * i + 1].map((at) => (sums[at] as number) / this.#steps)
      return { sublayer, similarity: similarity as number, scale: scale as number }
    })
    return this.watch.then(measured)
  }

  destroy(): void {
    const { memory } = this.sequence.engine.gpu
    this.#arena.destroy()
    for (const buffer of [this.#before, this.#sums]) memory.destroy(buffer)
  }

  /** One for each sublayer, and one without meaning. */
  get #count(): number {
    return this.watch.sublayers.length + 1
  }

  async #observe(): Promise<(program: Program) => Program> {
    const { engine, plan } = this.sequence
    const { gpu, shape, scratch } = engine
    const count = this.#count
    const compare = await compareStatesKernel(gpu, { d4: shape.d4, count, accumulates: true })
    const since = (index: number): Dispatch =>
      compare(this.#arena, { plan, x: scratch.x, before: this.#before, out: this.#sums }, { index })
    const remember = since(count - 1)
    const compared = this.watch.sublayers.map((_, i) => since(i))
    const around = (sublayer: number, dispatches: readonly Dispatch[]): readonly Dispatch[] => {
      const end = compared[this.watch.sublayers.indexOf(sublayer)]
      return end ? [remember, ...dispatches, end] : dispatches
    }
    return (program) => ({
      ...program,
      layers: program.layers.map((layer, i) => ({
        ...layer,
        attention: around(2 * i, layer.attention),
        mlp: around(2 * i + 1, layer.mlp),
      })),
    })
  }
}
