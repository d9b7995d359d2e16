import { NO_TOKEN } from '../../shaders/sample.wgsl.js'
import type { RuntimeShape } from './shape.js'

/** What one fed position left behind. */
export interface StepRecord {
  /** The token sampled after this position; undefined where none was (inside a prompt, or after a stop token). */
  readonly token: number | undefined
  /** 2L execute bits of the position. */
  readonly bits: Uint32Array
  /** Signed distance to the threshold per sublayer, where margins are traced. */
  readonly margins: Float32Array | undefined
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

/** Splits ring words into records. Without a scoring policy the GPU writes no bits: everything ran. */
export function readRecords(
  words: Uint32Array,
  shape: RuntimeShape,
  o: { stride: number; routed: boolean; margins: boolean; tokens: 'every' | 'last' | 'none' },
): StepRecord[] {
  const count = words.length / o.stride
  return Array.from({ length: count }, (_, i) => {
    const first = i * o.stride
    const sampled = o.tokens === 'every' || (o.tokens === 'last' && i === count - 1)
    const token = words[first] as number
    const marginsAt = first + 1 + shape.bitWords
    return {
      token: sampled && token !== NO_TOKEN ? token : undefined,
      bits: o.routed ? words.slice(first + 1, first + 1 + shape.bitWords) : executeAll(shape),
      margins:
        o.margins && o.routed
          ? new Float32Array(
              words.buffer.slice(words.byteOffset + 4 * marginsAt, words.byteOffset + 4 * (first + o.stride)),
            )
          : undefined,
    }
  })
}

/** Bits of a position that ran every sublayer. */
export function executeAll(shape: RuntimeShape): Uint32Array {
  return Uint32Array.from({ length: shape.bitWords }, (_, word) => {
    const bits = Math.min(32, shape.sublayers - 32 * word)
    return bits === 32 ? 0xffffffff : 2 ** bits - 1
  })
}
