import type { Extent } from '../gpu/dispatch.js'
import type { ReadbackRing } from '../gpu/readback.js'
import type { Part } from '../model/layer-matrices.js'
import type { Traffic } from '../model/traffic.js'
import type { WeightStream } from '../model/weight-stream.js'
import type { LayerProgram, Program } from './program.js'
import type { Recorder } from './recorder.js'

export interface StreamedStep {
  readonly stream: WeightStream
  readonly recorder: Recorder
  readonly extent: Extent
  /** The buffer in which the GPU says how many rows run a sublayer. */
  readonly plan: GPUBuffer
  readonly ring: ReadbackRing
  readonly traffic: Traffic
  readonly signal: AbortSignal | undefined
  /** Throws where the buffers of the step are gone: it is called after every wait. */
  readonly check: () => void
}

/**
 * Records one step while bringing the weights that are away, each part just before its layer uses it. What almost every token
 * needs is brought at once. For the rest, the step is submitted as far as it is known and the routers' answer is read back; a part
 * that no row runs is not brought, as its kernels then return before they read the slot. Returns the sublayers whose part was
 * brought without asking.
 */
export async function recordStreamed(program: Program, step: StreamedStep): Promise<number[]> {
  const { recorder, extent } = step
  const guessed: number[] = []
  recorder.add([program.embed], extent)
  for (const [index, layer] of program.layers.entries()) {
    recorder.add(layer.entry, extent)
    const mlpAtEntry = layer.afterAttention.length === 0
    const first: Part[] = mlpAtEntry ? ['keysValues', 'attention', 'mlp'] : ['keysValues', 'attention']
    const entry = ask(step, index, layer, first)
    await bring(step, index, without('mlp', entry.sure))
    const asked = await waitFor(step, entry.answer)
    await bring(step, index, without('mlp', asked))
    recorder.add(layer.attention, extent)
    recorder.add(layer.afterAttention, extent)
    const after = ask(step, index, layer, mlpAtEntry ? [] : ['mlp'])
    const needed = [...entry.sure, ...asked, ...after.sure, ...(await waitFor(step, after.answer))]
    await bring(
      step,
      index,
      needed.filter((part) => part === 'mlp'),
    )
    recorder.add(layer.mlp, extent)
    for (const part of [...entry.sure, ...after.sure]) {
      if (wordOf(layer, part) !== undefined) guessed.push(part === 'mlp' ? 2 * index + 1 : 2 * index)
    }
  }
  return guessed
}

function without(part: Part, parts: readonly Part[]): Part[] {
  return parts.filter((p) => p !== part)
}

/** The word of the plan that says how many rows need a part; undefined where that was known before. */
function wordOf({ needs }: LayerProgram, part: Part): number | undefined {
  const need = needs[part]
  return typeof need === 'object' ? need.word : undefined
}

/** Of `parts`, those that are away and needed: the ones that are surely, or almost, and the others when the GPU has answered. */
function ask(step: StreamedStep, index: number, layer: LayerProgram, parts: readonly Part[]) {
  const { stream, recorder, extent, traffic } = step
  const away = parts.filter((part) => layer.needs[part] && stream.isAway(index, part))
  const isSure = (part: Part) => wordOf(layer, part) === undefined || stream.isLikely(index, part, extent.rows)
  const doubtful = away.filter((part) => !isSure(part))
  const read =
    doubtful.length > 0 &&
    step.ring.gather(
      recorder.encoder(),
      step.plan,
      doubtful.map((part) => wordOf(layer, part) as number),
    )
  const answered = async (): Promise<Part[]> => {
    if (!read) return []
    recorder.submit()
    const counts = await read()
    traffic.waits++
    const needed = doubtful.filter((_, i) => counts[i] !== 0)
    traffic.misses += needed.length
    return needed
  }
  const answer = answered()
  // Where bringing the others fails first, nobody waits for it.
  answer.catch(() => undefined)
  return { sure: away.filter(isSure), answer }
}

async function bring(step: StreamedStep, index: number, parts: readonly Part[]): Promise<void> {
  if (parts.length === 0) return
  const { stream, recorder, traffic, signal } = step
  // The slots may still be needed for what was recorded.
  recorder.submit()
  const onBytes = (bytes: number) => {
    traffic.bytes += bytes
  }
  for (const part of parts) await waitFor(step, stream.bring(index, part, { signal, onBytes }))
}

async function waitFor<T>({ traffic, check }: StreamedStep, work: Promise<T>): Promise<T> {
  const started = performance.now()
  try {
    return await work
  } finally {
    traffic.waitMs += performance.now() - started
    check()
  }
}
