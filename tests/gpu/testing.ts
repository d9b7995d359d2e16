/**
 * What kernel tests share. `gpuSuite` opens one device per file on the adapter in SKIPSTONE_TEST_ADAPTER and hands the
 * tests a bench whose buffers have guard words behind their contents: inputs end in NaN, outputs in a sentinel that must
 * still be there when they are read. After every test all buffers are gone and no validation error has occurred.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest'
import type { KWeightDtype } from '../../shaders/snippets/k-blocks.js'
import { PLAN_HEADER, planSlot, planWords } from '../../shaders/snippets/plan.js'
import type { FloatWeightDtype } from '../../shaders/snippets/stored.js'
import { BLOCK, type WeightDtype } from '../../shaders/snippets/weights.js'
import { dequantise } from '../../src/formats/gguf-blocks.js'
import { GpuDevice } from '../../src/gpu/device.js'
import { type Dispatch, type Extent, ParamsArena, record } from '../../src/gpu/dispatch.js'
import { readBuffer } from '../../src/gpu/readback.js'
import { quantise } from '../../src/kernels/reference/quantise.js'
import { repack } from '../../src/model/repack.js'
import { VectorArena } from '../../src/model/vector-arena.js'
import { findDriverManifest } from '../../src/node/adapters.js'
import { createDawnGpu } from '../../src/node/dawn.js'
import { type FloatType, storeFloats } from '../fixtures/float-bytes.js'
import type { Prng } from '../fixtures/prng.js'
import { randomBlocks } from '../fixtures/random-blocks.js'

/** A word that no kernel writes by chance: as a float about 1.5, so that adding to it changes it too. */
export const POISON = 0x3fc0ffee

/** Of the golden README: absolute, times the largest magnitude of the output where that is above 1. */
export const TOLERANCE = 1e-5

const GUARD_WORDS = 16

function adapterUnderTest(): 'lavapipe' | 'swiftshader' {
  const name = process.env.SKIPSTONE_TEST_ADAPTER
  if (name === 'lavapipe' || name === 'swiftshader') return name
  throw new Error(`SKIPSTONE_TEST_ADAPTER must be lavapipe or swiftshader, not ${String(name)}`)
}

/** Holds Dawn's instance: collecting it would break the devices made from it. */
let keptGpu: GPU | undefined

/** A device with the guaranteed limits only, so that a kernel that needs more fails here. */
export async function openTestGpu(): Promise<GpuDevice> {
  const { gpu } = await createDawnGpu(adapterUnderTest())
  keptGpu = gpu
  return GpuDevice.open({ gpu: keptGpu, raiseLimits: false })
}

/**
 * A `describe` whose tests run on the GPU. Without the adapter they are reported as skipped, except where CI is set:
 * there they fail.
 */
export function gpuSuite(name: string, body: (bench: Bench) => void): void {
  const missing = findDriverManifest(adapterUnderTest()) === undefined
  describe.skipIf(missing && !process.env.CI)(name, () => {
    const bench = new Bench()
    beforeAll(() => bench.open())
    beforeEach(() => bench.begin())
    afterEach(() => bench.end())
    afterAll(() => bench.close())
    body(bench)
  })
}

type Data = Float32Array | Uint32Array | Uint8Array

export class Bench {
  #gpu: GpuDevice | undefined
  #arena: ParamsArena | undefined
  #bytesBefore = 0
  #errorsReported = 0
  readonly #buffers = new Map<GPUBuffer, { words: number; guard: number | undefined }>()

  get gpu(): GpuDevice {
    return this.#gpu!
  }

  get arena(): ParamsArena {
    return this.#arena!
  }

  async open(): Promise<void> {
    this.#gpu = await openTestGpu()
  }

  begin(): void {
    this.#bytesBefore = this.gpu.memory.bytes
    this.#arena = new ParamsArena(this.gpu)
  }

  async end(): Promise<void> {
    this.arena.destroy()
    for (const buffer of this.#buffers.keys()) this.gpu.memory.destroy(buffer)
    this.#buffers.clear()
    await settled(this.gpu)
    const errors = this.gpu.uncapturedErrors.slice(this.#errorsReported)
    this.#errorsReported += errors.length // the next test is not to blame for them
    expect(errors, 'validation errors').toEqual([])
    expect(this.gpu.memory.bytes, 'bytes in buffers after the test').toBe(this.#bytesBefore)
  }

  close(): void {
    this.#gpu?.destroy()
  }

  /** A buffer that kernels only read; NaN follows the data. */
  upload(data: Data): GPUBuffer {
    return this.#create(data, undefined)
  }

  /** A buffer with contents that kernels change; reading it checks the sentinel behind them. */
  inout(data: Data): GPUBuffer {
    return this.#create(data, POISON)
  }

  /** An output full of the sentinel. */
  poisoned(words: number): GPUBuffer {
    return this.inout(new Uint32Array(words).fill(POISON))
  }

  async run(dispatches: readonly Dispatch[], extent: Partial<Extent> = {}): Promise<void> {
    await runDispatches(this.gpu, dispatches, { rows: 1, context: 1, ...extent })
  }

  async words(buffer: GPUBuffer): Promise<Uint32Array> {
    const { words, guard } = this.#buffers.get(buffer)!
    const all = await readBuffer(this.gpu, buffer, 4 * (words + GUARD_WORDS))
    if (guard !== undefined) {
      expect([...all.subarray(words)], `guard words behind ${buffer.label}`).toEqual(Array(GUARD_WORDS).fill(guard))
    }
    return all.slice(0, words)
  }

  async floats(buffer: GPUBuffer): Promise<Float32Array> {
    return asFloats(await this.words(buffer))
  }

  /** Checks that a poisoned output was not written at all, or not outside `from .. to`. */
  async expectUntouched(buffer: GPUBuffer, except: { from: number; to: number } = { from: 0, to: 0 }): Promise<void> {
    const words = await this.words(buffer)
    const written = [...words.keys()].filter((i) => words[i] !== POISON && (i < except.from || i >= except.to))
    expect(written, 'words written outside the output').toEqual([])
  }

  #create(data: Data, guard: number | undefined): GPUBuffer {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const words = Math.ceil(bytes.length / 4)
    const padded = new Uint32Array(words + GUARD_WORDS).fill(guard ?? 0xffffffff, words)
    new Uint8Array(padded.buffer).set(bytes)
    const buffer = this.gpu.memory.upload(guard === undefined ? 'input' : 'output', padded)
    this.#buffers.set(buffer, { words, guard })
    return buffer
  }
}

/** Records dispatches into one pass, submits it and waits for it. */
export async function runDispatches(gpu: GpuDevice, dispatches: readonly Dispatch[], extent: Extent): Promise<void> {
  const encoder = gpu.device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  record(pass, dispatches, extent)
  pass.end()
  gpu.device.queue.submit([encoder.finish()])
  await gpu.device.queue.onSubmittedWorkDone()
}

/** Waits until errors of everything submitted so far have been reported. */
export async function settled(gpu: GpuDevice): Promise<void> {
  await gpu.device.queue.onSubmittedWorkDone()
  await new Promise((resolve) => setTimeout(resolve))
}

export function asFloats(words: Uint32Array): Float32Array {
  return new Float32Array(words.buffer, words.byteOffset, words.length)
}

/**
 * Fails where a value is further from the expected one than `tolerance`, times the largest expected magnitude where
 * that is above 1. NaN never passes.
 */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance = TOLERANCE,
  what = 'output',
): void {
  expect(actual.length, `length of ${what}`).toBe(expected.length)
  let worst = -1
  let difference = -1
  let largest = 1
  for (let i = 0; i < expected.length; i++) {
    const finite = Math.abs(actual[i]! - expected[i]!)
    const d = Number.isNaN(finite) ? Number.POSITIVE_INFINITY : finite
    if (d > difference) [worst, difference] = [i, d]
    largest = Math.max(largest, Math.abs(expected[i]!))
  }
  const limit = tolerance * largest
  if (difference > limit) {
    expect.fail(
      `${what}: worst at index ${worst} of ${expected.length}: ${actual[worst]} instead of ${expected[worst]}, ` +
        `off by ${difference}, allowed ${limit}`,
    )
  }
}

export interface PlanOptions {
  rows: number
  start?: number
  cursor?: number
  capacity: number
  /** Execute words per sublayer, one per row. */
  execute?: readonly ArrayLike<number | boolean>[]
}

/** Contents of a plan buffer. Entries behind a slot's active rows hold a row number that must never be used. */
export function planOf(o: PlanOptions): Uint32Array {
  const execute = o.execute ?? []
  const plan = new Uint32Array(planWords(execute.length, o.capacity)).fill(0xfffffff0, PLAN_HEADER)
  plan.set([o.rows, o.start ?? 0, o.cursor ?? 0, 0])
  execute.forEach((mask, sublayer) => {
    const active = activeRows(mask)
    plan.set([active.length, ...active], planSlot(sublayer, o.capacity))
  })
  return plan
}

export function activeRows(mask: ArrayLike<number | boolean>): number[] {
  return Array.from(mask).flatMap((runs, row) => (runs ? [row] : []))
}

/** Uniform numbers with variance `scale`², in f32. */
export function noise(prng: Prng, count: number, scale = 1): Float32Array {
  return Float32Array.from({ length: count }, () => (prng.uniform() - 0.5) * Math.sqrt(12) * scale)
}

/**
 * A vector of which no value, times its gain, lies near the middle between two steps of its block in 8 bits: devices divide inexactly, and would
 * round it either way.
 */
export function clearOfTies(values: Float32Array, gains?: ArrayLike<number>): Float32Array {
  const scaled = values.map((value, i) => value * (gains?.[i] ?? 1))
  return values.map((value, i) => {
    const first = i - (i % BLOCK)
    const steps = Math.abs((127 * scaled[i]!) / Math.max(...scaled.subarray(first, first + BLOCK).map(Math.abs)))
    return Math.abs((steps % 1) - 0.5) < 0.01 ? value * (1 + 0.03 / steps) : value
  })
}

const STORED: Record<FloatWeightDtype, FloatType> = { f32: 'F32', f16: 'F16', bf16: 'BF16' }

/**
 * A matrix as the kernels read it: rows padded with zeros to a multiple of four, or of a block.
 *
 * values [n, k] -> bytes [n, rowWords], and the values that the dtype keeps of them
 */
export function storeMatrix(values: ArrayLike<number>, k: number, dtype: Exclude<WeightDtype, KWeightDtype>) {
  if (dtype === 'q8' || dtype === 'q4') {
    const { words, values: stored } = quantise(values, k, dtype)
    return { bytes: new Uint8Array(words.buffer), stored }
  }
  const { bytes, stored } = storeFloats(padRows(values, k), STORED[dtype])
  return { bytes, stored: takeRows(stored, range(values.length / k), k, 4 * Math.ceil(k / 4)) }
}

/** A random matrix whose products with vectors of variance 1 have about variance 1. */
export function randomMatrix(prng: Prng, n: number, k: number, dtype: WeightDtype) {
  if (dtype === 'q4_k' || dtype === 'q5_k' || dtype === 'q6_k') {
    const type = dtype.toUpperCase() as 'Q4_K' | 'Q5_K' | 'Q6_K'
    const blocks = randomBlocks(prng, type, n * k, 1 / Math.sqrt(k))
    return { bytes: repack(type, blocks, k), stored: dequantise(type, blocks, n * k) }
  }
  return storeMatrix(noise(prng, n * k, 1 / Math.sqrt(k)), k, dtype)
}

/** Small vectors in one buffer, as kernels read norm weights and biases; none starts at 0. */
export function vectorTable<Name extends string>(vectors: Record<Name, Float32Array>) {
  const arena = new VectorArena()
  arena.add([Float32Array.of(Number.NaN)])
  const entries = Object.entries<Float32Array>(vectors).map(([name, values]) => [name, arena.add([values])] as const)
  return { data: arena.concatenate(), at: Object.fromEntries(entries) as Record<Name, number> }
}

/** Rows of `width` values, each followed by `filler` up to a multiple of four. */
export function padRows(values: ArrayLike<number>, width: number, filler = 0): Float32Array {
  const stride = Math.ceil(width / 4) * 4
  const rows = values.length / width
  const padded = new Float32Array(rows * stride).fill(filler)
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) padded[row * stride + i] = values[row * width + i]!
  }
  return padded
}

/** The first `width` values of each of these rows, in this order. */
export function takeRows(values: ArrayLike<number>, rows: readonly number[], width: number, stride = width) {
  const taken = new Float32Array(rows.length * width)
  rows.forEach((row, i) => {
    for (let j = 0; j < width; j++) taken[i * width + j] = values[row * stride + j]!
  })
  return taken
}

export const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i)
