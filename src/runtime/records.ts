import { NO_TOKEN } from '../../shaders/sample.wgsl.js'
import type { Phase, SkipPolicy } from '../skip/policy.js'
import { leftBySkipping, makesKeysValues } from '../skip/static-skips.js'
import type { RuntimeShape } from './shape.js'

/** What one fed position left behind. */
export interface StepRecord {
  /** The token sampled after this position; undefined where none was (inside a prompt, or after a stop token). */
  readonly token: number | undefined
  /** 2L execute bits of the position. */
  readonly bits: Uint32Array
  /** Signed distance to the threshold per sublayer, where margins are traced. */
  readonly margins: Float32Array | undefined
  /** By layer: whether keys and values were made. */
  readonly keysValues: readonly boolean[]
}

/** A decode step's record, with the logits of its token where they were asked for. */
export interface DecodeRecord extends StepRecord {
  readonly logits?: Float32Array
}

/** Waits for the GPU, and reads what steps left. */
export type Read = () => Promise<DecodeRecord[]>

/** Decode steps on their way. */
export interface Submitted {
  /** Never more than were asked for. */
  readonly steps: number
  readonly read: Read
}

/** What is known of a position's execute bits before it is fed: those that are 1, and those that the GPU decides. */
export interface KnownBits {
  readonly run: Uint32Array
  readonly routed: Uint32Array
  readonly anyRouted: boolean
  /** By layer: whether its keys and values are made; `executed`, where its attention runs. */
  readonly keysValues: readonly (boolean | 'executed')[]
}

/** Whether sublayer `i` executed, from a position's bit words. */
export function executed(bits: Uint32Array, i: number): boolean {
  return (((bits[i >> 5] as number) >>> (i & 31)) & 1) === 1
}

/** Splits ring words into records. */
export function readRecords(
  words: Uint32Array,
  shape: RuntimeShape,
  o: { stride: number; known: KnownBits; margins: boolean; tokens: 'every' | 'last' | 'none' },
): StepRecord[] {
  const { run, routed, anyRouted, keysValues } = o.known
  const count = words.length / o.stride
  return Array.from({ length: count }, (_, i) => {
    const first = i * o.stride
    const sampled = o.tokens === 'every' || (o.tokens === 'last' && i === count - 1)
    const token = words[first] as number
    const marginsAt = first + 1 + shape.bitWords
    const bits = run.map((bits, i) => bits | ((words[first + 1 + i] as number) & (routed[i] as number)))
    return {
      token: sampled && token !== NO_TOKEN ? token : undefined,
      bits,
      margins:
        o.margins && anyRouted
          ? new Float32Array(
              words.buffer.slice(words.byteOffset + 4 * marginsAt, words.byteOffset + 4 * (first + o.stride)),
            )
          : undefined,
      keysValues: keysValues.map((made, layer) => (made === 'executed' ? executed(bits, 2 * layer) : made)),
    }
  })
}

/** What a policy says of every position of a phase. */
export function knownBits({ sublayers, bitWords }: RuntimeShape, policy: SkipPolicy, phase: Phase): KnownBits {
  const run = new Uint32Array(bitWords)
  const routed = new Uint32Array(bitWords)
  for (let sublayer = 0; sublayer < sublayers; sublayer++) {
    const decision = policy.decide(sublayer, phase)
    if (decision === 'skip') continue
    const bits = decision === 'run' ? run : routed
    bits[sublayer >> 5] = (bits[sublayer >> 5] as number) | (1 << (sublayer & 31))
  }
  const keysValuesOf = (layer: number) =>
    leftBySkipping(policy, layer, phase) ? ('executed' as const) : makesKeysValues(policy, layer, phase)
  return {
    run,
    routed,
    anyRouted: routed.some((word) => word !== 0),
    keysValues: Array.from({ length: sublayers / 2 }, (_, layer) => keysValuesOf(layer)),
  }
}
