import type { DecodeQueue } from './batch/decode-queue.js'
import type { Engine } from './engine.js'
import type { Submitted } from './records.js'
import type { Sequence } from './sequence.js'

/** Takes the decode steps of one generation, until `leave`. */
export interface Turns {
  /** As `Sequence.decode`; fewer steps may be submitted. One call at a time. */
  decode(steps: number, signal: AbortSignal | undefined): Promise<Submitted>
  leave(): void
}

/** Who generates on an engine, and where they meet once there were two of them. */
interface Meeting {
  readonly going: Set<Sequence>
  queue?: Promise<DecodeQueue>
}

const meetings = new WeakMap<Engine, Meeting>()

/** Generations on one engine at the same time take their steps together. One that is alone goes its own way, and loads no code for batches. */
export function takeTurns(sequence: Sequence): Turns {
  const { engine } = sequence
  const here: Meeting = meetings.get(engine) ?? { going: new Set() }
  meetings.set(engine, here)
  here.going.add(sequence)
  return {
    async decode(steps, signal) {
      if (here.going.size === 1) return { steps, read: await sequence.decode(steps, signal) }
      here.queue ??= import('./batch/decode-queue.js').then(({ DecodeQueue }) => new DecodeQueue(engine, here.going))
      return (await here.queue).decode(sequence, steps, signal)
    },
    leave() {
      here.going.delete(sequence)
      here.queue?.then((queue) => queue.leave(sequence)).catch(() => undefined)
    },
  }
}
