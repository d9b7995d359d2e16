import { type Dispatch, type Extent, ParamsArena } from '../../gpu/dispatch.js'
import { ropeTable } from '../../model/rope.js'
import type { SkipPolicy } from '../../skip/policy.js'
import type { GroupMember } from '../attending.js'
import type { Engine } from '../engine.js'
import { Recorder } from '../recorder.js'
import type { Read } from '../records.js'
import type { Cache } from '../sequence-buffers.js'
import { BATCH_ROWS, type BatchBuffers, createBatchBuffers, destroyBatchBuffers } from './batch-buffers.js'
import { type BatchProgram, batchProgram } from './batch-program.js'
import { type GroupLayers, groupLayers } from './group.js'
import type { Lane } from './lane.js'

/** A sequence's part in the steps of one submit. */
export interface Share {
  readonly lane: Lane
  readonly cache: Cache
  /** Positions that it attends to at most. */
  readonly context: number
  /** Follows the batch's logits. */
  readonly finish: readonly Dispatch[]
  /** The steps are about to be recorded. @throws `disposed` where the sequence is gone. */
  begin(): void
  /** They were recorded: copies what they left. */
  read(encoder: GPUCommandEncoder): Read
}

/** What takes part: a sequence. */
export interface Member {
  share(batch: BatchBuffers, row: number, steps: number): Promise<Share>
  /** It takes part no more. */
  unshare(): void
}

/** Sequences of one policy that decode together: one read of the weights serves all of their rows. */
export class Batch {
  readonly #buffers: BatchBuffers
  readonly #rows = new Map<Member, number>()
  #program: { readonly arena: ParamsArena; readonly reach: number; readonly ready: Promise<BatchProgram> } | undefined
  #rope: GPUBuffer | undefined
  #groups: readonly Group[] = []
  #last: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly engine: Engine,
    readonly policy: SkipPolicy,
  ) {
    this.#buffers = createBatchBuffers(engine, policy)
  }

  /** Gives `member` a row, where it has none and one is free. */
  join(member: Member): boolean {
    if (this.#rows.has(member)) return true
    const taken = new Set(this.#rows.values())
    const free = Array.from({ length: BATCH_ROWS }, (_, row) => row).find((row) => !taken.has(row))
    if (free !== undefined) this.#rows.set(member, free)
    return free !== undefined
  }

  has(member: Member): boolean {
    return this.#rows.has(member)
  }

  leave(member: Member): void {
    if (this.#rows.delete(member)) member.unshare()
  }

  get isEmpty(): boolean {
    return this.#rows.size === 0
  }

  /**
   * Submits `steps` decode steps of members that have joined, and tells of each how to read its records. One that cannot take part is told why, and the
   * others go on.
   */
  decode(members: readonly Member[], steps: number): Promise<PromiseSettledResult<Read>[]> {
    // In turn: what one binds the next one may let go.
    const next = this.#last.then(() => this.#decode(members, steps))
    this.#last = next.catch(() => undefined)
    return next
  }

  async #decode(members: readonly Member[], steps: number): Promise<PromiseSettledResult<Read>[]> {
    const shares = await Promise.allSettled(
      members.map((member) => member.share(this.#buffers, this.#rows.get(member) as number, steps)),
    )
    const reach = Math.max(...shares.map((share) => (share.status === 'fulfilled' ? share.value.context : 0)))
    const program = reach > 0 ? await this.#ready(reach) : undefined
    let begun: readonly PromiseSettledResult<Share>[] = shares
    let groups: readonly GroupLayers[] = []
    let count: number
    do {
      count = fulfilled(begun).length
      const going = begun.flatMap((share, i) =>
        share.status === 'fulfilled'
          ? [{ row: this.#rows.get(members[i] as Member) as number, cache: share.value.cache }]
          : [],
      )
      groups = await this.#grouped(going)
      // One that is gone meanwhile takes its cache with it: the others are grouped anew.
      begun = begun.map(beginning)
    } while (fulfilled(begun).length < count)
    const going = fulfilled(begun)
    if (!program || going.length === 0) return begun as PromiseRejectedResult[]
    // Rows in between that nobody has are computed for nothing.
    const rows = 1 + Math.max(...members.map((member) => this.#rows.get(member) ?? 0))
    this.engine.gpu.device.queue.writeBuffer(this.#buffers.plan, 0, Uint32Array.of(rows))
    const recorder = new Recorder(this.engine)
    for (let step = 0; step < steps; step++) recordStep(recorder, { program, groups }, going, { rows, context: reach })
    const encoder = recorder.encoder()
    const reads = begun.map((share): PromiseSettledResult<Read> => {
      return share.status === 'fulfilled' ? { status: 'fulfilled', value: share.value.read(encoder) } : share
    })
    recorder.submit()
    return reads
  }

  /** The program for contexts of so many positions; that for longer ones will do. */
  #ready(reach: number): Promise<BatchProgram> {
    if (this.#program && this.#program.reach >= reach) return this.#program.ready
    this.#forget()
    const { gpu, shape } = this.engine
    const { rope, headDim, contextLength } = shape.config
    const enough = Math.min(2 * reach, Math.max(contextLength, reach))
    const table = ropeTable(rope, headDim, 0, enough) as Float32Array<ArrayBuffer>
    this.#rope = gpu.memory.upload('batch rope', table)
    const arena = new ParamsArena(gpu)
    const ready = batchProgram(this.engine, arena, this.policy, this.#buffers, this.#rope)
    this.#program = { arena, reach: enough, ready }
    return ready
  }

  /** Sequences in groups whose caches are bound together; groups stay while the same ones go on. */
  async #grouped(members: readonly GroupMember[]): Promise<GroupLayers[]> {
    const { cachesTogether } = this.engine.target.choice.form.value.attention
    const sorted = members.toSorted((a, b) => a.row - b.row)
    const wanted = Array.from({ length: Math.ceil(sorted.length / cachesTogether) }, (_, i) =>
      sorted.slice(i * cachesTogether, (i + 1) * cachesTogether),
    )
    const groups = wanted.map(
      (group) => this.#groups.find((known) => isSame(known.members, group)) ?? this.#group(group),
    )
    for (const known of this.#groups) if (!groups.includes(known)) known.arena.destroy()
    this.#groups = groups
    return Promise.all(groups.map(({ layers }) => layers))
  }

  #group(members: readonly GroupMember[]): Group {
    const arena = new ParamsArena(this.engine.gpu)
    const rope = this.#rope as GPUBuffer
    return { members, arena, layers: groupLayers(this.engine, arena, this.policy, this.#buffers, rope, members) }
  }

  #forget(): void {
    for (const { arena } of this.#groups) arena.destroy()
    this.#groups = []
    this.#program?.arena.destroy()
    this.#program = undefined
    if (this.#rope) this.engine.gpu.memory.destroy(this.#rope)
    this.#rope = undefined
  }

  destroy(): void {
    this.#forget()
    destroyBatchBuffers(this.engine, this.#buffers)
  }
}

interface Group {
  readonly members: readonly GroupMember[]
  readonly arena: ParamsArena
  readonly layers: Promise<GroupLayers>
}

function isSame(some: readonly GroupMember[], others: readonly GroupMember[]): boolean {
  const same = ({ row, cache }: GroupMember, i: number) => row === others[i]?.row && cache === others[i].cache
  return some.length === others.length && some.every(same)
}

function fulfilled<T>(results: readonly PromiseSettledResult<T>[]): T[] {
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
}

/** The same, or why it cannot begin. */
function beginning(share: PromiseSettledResult<Share>): PromiseSettledResult<Share> {
  try {
    if (share.status === 'fulfilled') share.value.begin()
    return share
  } catch (reason) {
    return { status: 'rejected', reason }
  }
}

function recordStep(
  recorder: Recorder,
  { program, groups }: { readonly program: BatchProgram; readonly groups: readonly GroupLayers[] },
  shares: readonly Share[],
  extent: Extent,
): void {
  const own = shares.map(({ context }): Extent => ({ rows: 1, context }))
  const each = (dispatches: (share: Share) => readonly Dispatch[]) => {
    for (const [i, share] of shares.entries()) recorder.add(dispatches(share), own[i] as Extent)
  }
  each(({ lane }) => lane.enter)
  recorder.add([program.embed], extent)
  for (const [i, layer] of program.layers.entries()) {
    recorder.add(layer.before, extent)
    const caches = groups.map((layers) => layers[i] as GroupLayers[number])
    for (const { append } of caches) recorder.add(append, extent)
    for (const { attention } of caches) recorder.add(attention, extent)
    recorder.add(layer.after, extent)
  }
  recorder.add(program.logits, extent)
  each(({ finish }) => finish)
}
