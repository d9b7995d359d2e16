import { throwIfAborted } from '../errors.js'
import type { Batch, Read } from './batch/batch.js'
import type { Engine } from './engine.js'
import type { Sequence } from './sequence.js'

/** Decode steps on their way. */
export interface Submitted {
  /** Never more than were asked for. */
  readonly steps: number
  readonly read: Read
}

interface Request {
  readonly sequence: Sequence
  readonly steps: number
  readonly signal: AbortSignal | undefined
  readonly resolve: (submitted: Submitted) => void
  readonly reject: (reason: unknown) => void
}

const queues = new WeakMap<Engine, DecodeQueue>()

/** Where all generations on an engine take their decode steps. */
export function decodeQueue(engine: Engine): DecodeQueue {
  const queue = queues.get(engine) ?? new DecodeQueue(engine)
  queues.set(engine, queue)
  return queue
}

/**
 * Sequences that generate at the same time take their decode steps together, those of one policy in a batch. One that is alone goes its own way, and no
 * code for batches is loaded. A request waits for those of the others only while the GPU has work anyway.
 */
class DecodeQueue {
  readonly #going = new Set<Sequence>()
  readonly #batches = new Set<Batch>()
  #waiting: Request[] = []
  #busy = 0

  constructor(private readonly engine: Engine) {}

  /** `sequence` takes its steps here from now on, until the result is called. */
  enter(sequence: Sequence): () => void {
    this.#going.add(sequence)
    return () => {
      this.#going.delete(sequence)
      this.#leave(sequence)
      this.#proceed()
    }
  }

  /** As `Sequence.decode`, of a sequence that has entered and has no other request waiting. */
  async decode(sequence: Sequence, steps: number, signal: AbortSignal | undefined): Promise<Submitted> {
    if (this.#going.size === 1) return { steps, read: await sequence.decode(steps, signal) }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ sequence, steps, signal, resolve, reject })
      this.#proceed()
    })
  }

  #proceed(): void {
    if (this.#waiting.length === 0) return
    if (this.#waiting.length >= this.#going.size) this.#submit()
    else if (this.#busy === 0) {
      // Others whose steps were read at the same time are about to ask.
      setTimeout(() => {
        if (this.#busy === 0) this.#submit()
      })
    }
  }

  #submit(): void {
    const requests = this.#waiting
    this.#waiting = []
    const byPolicy = new Map<string, Request[]>()
    for (const request of requests) {
      const { name } = request.sequence.policy
      byPolicy.set(name, [...(byPolicy.get(name) ?? []), request])
    }
    for (const group of byPolicy.values()) {
      this.#whileBusy(this.#together(group)).catch((reason: unknown) => {
        for (const { reject } of group) reject(reason)
      })
    }
  }

  async #together(group: readonly Request[]): Promise<void> {
    const live = group.filter(({ signal, reject }) => {
      try {
        throwIfAborted(signal)
        return true
      } catch (reason) {
        reject(reason)
        return false
      }
    })
    const parts = live.length > 1 ? await this.#byBatch(live) : new Map([[undefined, live]])
    for (const [batch, requests] of parts) {
      const steps = Math.min(...requests.map((request) => request.steps))
      const [first] = requests
      if (batch && requests.length > 1) await this.#decode(batch, requests, steps)
      else if (first) this.#deliver(first, { steps, read: await first.sequence.decode(steps, first.signal) })
    }
  }

  async #decode(batch: Batch, requests: readonly Request[], steps: number): Promise<void> {
    const members = requests.map(({ sequence }) => sequence)
    for (const [i, read] of (await batch.decode(members, steps)).entries()) {
      const request = requests[i] as Request
      if (read.status === 'rejected') request.reject(read.reason)
      else this.#deliver(request, { steps, read: read.value })
    }
  }

  /** Whether the GPU is done does not depend on when somebody reads. */
  #deliver(request: Request, { steps, read }: Submitted): void {
    const records = this.#whileBusy(read())
    records.catch(() => undefined)
    request.resolve({ steps, read: () => records })
  }

  async #whileBusy<T>(work: Promise<T>): Promise<T> {
    this.#busy++
    try {
      return await work
    } finally {
      this.#busy--
      this.#proceed()
    }
  }

  async #byBatch(requests: readonly Request[]): Promise<Map<Batch, Request[]>> {
    const { Batch } = await import('./batch/batch.js')
    const parts = new Map<Batch, Request[]>()
    for (const request of requests) {
      const { sequence } = request
      const batch = this.#place(sequence) ?? new Batch(this.engine, sequence.policy)
      batch.join(sequence)
      this.#batches.add(batch)
      parts.set(batch, [...(parts.get(batch) ?? []), request])
    }
    return parts
  }

  /** The batch in which the sequence has a row, or now gets one. */
  #place(sequence: Sequence): Batch | undefined {
    const { name } = sequence.policy
    const batches = [...this.#batches]
    const present = batches.find((batch) => batch.has(sequence))
    if (present?.policy.name === name) return present
    this.#leave(sequence)
    return batches.find((batch) => batch.policy.name === name && batch.join(sequence))
  }

  #leave(sequence: Sequence): void {
    for (const batch of this.#batches) {
      batch.leave(sequence)
      if (batch.isEmpty) {
        batch.destroy()
        this.#batches.delete(batch)
      }
    }
  }
}
