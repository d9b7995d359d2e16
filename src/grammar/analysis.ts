import { SkipstoneError } from '../errors.js'
import { OP, type Program, START } from './program.js'

/** What is known of a program before any text is read. */
export interface Analysis {
  /** By place: whether some text leads from it to the end of its rule. The others are dead ends that no text may enter. */
  readonly useful: Uint8Array
  /** By place: whether the empty text does. */
  readonly nullable: Uint8Array
  /** By rule: callers before those that they may call without taking a byte. */
  readonly ranks: readonly number[]
}

/**
 * Undefined where no text of the bytes that can be written matches.
 * @param writable by byte: 1 where it can.
 * @throws SkipstoneError `unsupported` for left recursion.
 */
export function analyse(program: Program, writable: Uint8Array): Analysis | undefined {
  const useful = reachesEnd(program, writable)
  if (!useful[START]) return undefined
  const nullable = reachesEnd(program, new Uint8Array(256))
  return { useful, nullable, ranks: rank(program, useful, nullable) }
}

/** By place: whether the end of the rule can be reached from it over the writable bytes. Linear: every place is settled once. */
function reachesEnd({ op, x, y, next, starts }: Program, writable: Uint8Array): Uint8Array {
  const reaches = new Uint8Array(op.length)
  const settles = (place: number): boolean => {
    switch (op[place]) {
      case OP.byte:
        return reaches[next[place]!] === 1 && writable.subarray(x[place]!, y[place]! + 1).includes(1)
      case OP.call:
        return reaches[starts[x[place]!]!] === 1 && reaches[next[place]!] === 1
      case OP.split:
        return reaches[x[place]!] === 1 || reaches[y[place]!] === 1
      default:
        return true
    }
  }
  const waiting: number[][] = op.map(() => [])
  op.forEach((kind, place) => {
    if (kind === OP.split) for (const to of [x[place]!, y[place]!]) waiting[to]!.push(place)
    else if (kind === OP.byte || kind === OP.call) waiting[next[place]!]!.push(place)
    if (kind === OP.call) waiting[starts[x[place]!]!]!.push(place)
  })
  const work = Array.from(op.keys())
  for (let place = work.pop(); place !== undefined; place = work.pop()) {
    if (reaches[place] || !settles(place)) continue
    reaches[place] = 1
    for (const dependent of waiting[place]!) work.push(dependent)
  }
  return reaches
}

/** Rules that a rule may call before it takes a byte. */
function firstCalls(program: Program, useful: Uint8Array, nullable: Uint8Array, rule: number): number[] {
  const { op, x, y, next, starts } = program
  const calls = new Set<number>()
  const seen = new Set<number>()
  const work = [starts[rule]!]
  for (let place = work.pop(); place !== undefined; place = work.pop()) {
    if (!useful[place] || seen.has(place)) continue
    seen.add(place)
    if (op[place] === OP.split) work.push(x[place]!, y[place]!)
    else if (op[place] === OP.call) {
      calls.add(x[place]!)
      if (nullable[starts[x[place]!]!]) work.push(next[place]!)
    }
  }
  return [...calls]
}

/** A topological order, without recursion: rules may call each other thousands deep. */
function rank(program: Program, useful: Uint8Array, nullable: Uint8Array): number[] {
  const count = program.starts.length
  const ranks = new Array<number>(count).fill(0)
  const state = new Uint8Array(count) // 1: on the way, 2: done
  let last = count
  for (let root = 0; root < count; root++) {
    if (state[root]) continue
    const open = [{ rule: root, calls: firstCalls(program, useful, nullable, root) }]
    state[root] = 1
    for (let top = open.at(-1); top; top = open.at(-1)) {
      const callee = top.calls.pop()
      if (callee === undefined) {
        state[top.rule] = 2
        ranks[top.rule] = --last
        open.pop()
      } else if (state[callee] === 1) {
        const cycle = open.slice(open.findIndex(({ rule }) => rule === callee)).map(({ rule }) => program.names[rule])
        throw new SkipstoneError(
          'unsupported',
          `The grammar is left-recursive: ${[...cycle.slice(0, 8), program.names[callee]].join(' → ')} takes no character in between. Write it as a repetition instead.`,
        )
      } else if (state[callee] === 0) {
        state[callee] = 1
        open.push({ rule: callee, calls: firstCalls(program, useful, nullable, callee) })
      }
    }
  }
  return ranks
}
