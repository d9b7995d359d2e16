import { throwIfAborted } from '../../errors.js'
import type { Engine } from '../engine.js'
import type { Submitted } from '../records.js'
import type { Sequence } from '../sequence.js'
import { Batch } from './batch.js'

interface Request {
  readonly sequence: Sequence
  readonly steps: number
  readonly signal: AbortSignal | undefined
  readonly resolve: (submitted: Submitted) => void
  readonly reject: (reason: unknown) => void
}

/**
 * Where sequences that generate at the same time take their decode steps: those of one policy together. A request waits for those of the others only while
 * the GPU has work anyway.
 */
export class DecodeQueue {
  readonly #batches = new Set<Batch>()
  #waiting: Request[] = []
  #busy = 0

  /** `going`: who takes steps at present. */
  constructor(
    private readonly engine: Engine,
    private readonly going: ReadonlySet<Sequence>,
  ) {}

  /** As `Sequence.decode`, of a sequence that has no other request waiting. */
  decode(sequence: Sequence, steps: number, signal: AbortSignal | undefined): Promise<Submitted> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ sequence, steps, signal, resolve, reject })
      this.#proceed()
    })
  }

  /** `sequence` takes no more steps: the others need not wait for it. */
  leave(sequence: Sequence): void {
    this.#leaveBatches(sequence)
    this.#proceed()
  }

  #proceed(): void {
    if (this.#waiting.length === 0) return
    if (this.#waiting.length >= this.going.size) this.#submit()
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
    const parts = live.length > 1 ? this.#byBatch(live) : new Map([[undefined, live]])
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

  #byBatch(requests: readonly Request[]): Map<Batch, Request[]> {
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
    this.#leaveBatches(sequence)
    return batches.find((batch) => batch.policy.name === name && batch.join(sequence))
  }

  #leaveBatches(sequence: Sequence): void {
    for (const batch of this.#batches) {
      batch.leave(sequence)
      if (batch.isEmpty) {
        batch.destroy()
        this.#batches.delete(batch)
      }
    }
  }
}
