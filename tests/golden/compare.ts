/**
 * Compares one run with its golden case. Pure and free of Node, so that runs in a browser are judged by the same rules;
 * outcomes survive JSON.
 */
import type { Bitmaps } from '../fixtures/golden.js'

/** What a run gave. Margins are z − δ. */
export interface Outcome {
  /** After the prompt, [vocab]. */
  logits: number[]
  /** Every generated token; the last one was not fed. */
  greedy: number[]
  /** Only for routed modes. Decode has one column per fed token. */
  prefillExecute?: Bitmaps
  decodeExecute?: Bitmaps
  /** [layers, 2, T] */
  marginsPrefill?: number[]
  /** [layers, 2, fed tokens] */
  marginsDecode?: number[]
  meanNll?: number | null
}

/** A decision too close to call. */
export interface Near {
  phase: 'prefill' | 'decode'
  layer: number
  module: 'attention' | 'mlp'
  /** Column of the bitmap: counted from the start of its phase. */
  position: number
}

/** What an independent implementation gave. What is absent is not compared. */
export interface Expected extends Outcome {
  near: Near[]
  /** The smallest difference of the two best logits in the run, and the token where it occurs. */
  minGap: number
  minGapStep?: number
  /** The MLP's router reads the state after attention. */
  postAttention?: boolean
  /** How far margins may be off, where that is not `LIMITS.margins`. */
  marginLimit?: number
}

export const LIMITS = { logits: 1e-3, margins: 1e-3, nll: 1e-4, gap: 2e-3 }

export interface Comparison {
  /** Sentences; empty where the run is right. */
  problems: string[]
  /** Deviations that rounding may cause. What depends on them was not compared. */
  allowed: string[]
}

/**
 * Decisions must be equal except where they are `near`; behind an allowed flip, nothing that it touches is compared:
 * later sublayers of that token, and deeper layers of all tokens after it. Tokens must be equal up to a step whose two
 * best logits are closer than `LIMITS.gap`.
 */
export function compareRun(actual: Outcome, expected: Expected): Comparison {
  const result: Comparison = { problems: [], allowed: [] }
  compareDecisions('prefill', actual, expected, Number.POSITIVE_INFINITY, result)
  if (result.allowed.length > 0) return result

  compareNumbers('logits', actual.logits, expected.logits, LIMITS.logits, result)
  if (expected.meanNll !== undefined && expected.meanNll !== null) {
    compareNumbers('mean nll', [actual.meanNll ?? Number.NaN], [expected.meanNll], LIMITS.nll, result)
  }
  const { greedy } = expected
  const length = Math.max(greedy.length, actual.greedy.length)
  const differs = Array.from({ length }, (_, i) => i).find((i) => greedy[i] !== actual.greedy[i])
  // Token i is fed at column i of the decode, and was chosen by column i − 1.
  const flipped = compareDecisions('decode', actual, expected, differs ?? Number.POSITIVE_INFINITY, result)
  if (differs === undefined || (flipped !== undefined && differs > flipped)) return result
  const text = `token ${differs} is ${actual.greedy[differs]} instead of ${greedy[differs]}`
  const tied = expected.minGap < LIMITS.gap && (expected.minGapStep ?? differs) === differs
  if (tied && actual.greedy[differs] !== undefined) result.allowed.push(`${text}; the two are ${expected.minGap} apart`)
  else result.problems.push(text)
  return result
}

/** Compares bits and margins of columns before `end` in causal order. Returns the first column with an allowed flip. */
function compareDecisions(
  phase: 'prefill' | 'decode',
  actual: Outcome,
  expected: Expected,
  end: number,
  result: Comparison,
): number | undefined {
  const [bits, margins] =
    phase === 'prefill'
      ? (['prefillExecute', 'marginsPrefill'] as const)
      : (['decodeExecute', 'marginsDecode'] as const)
  const wanted = expected[bits]
  if (!wanted) return undefined
  const got = actual[bits]
  const layers = wanted.attention.length
  const columns = (wanted.attention[0] as string).length
  if (!got || got.attention.length !== layers || got.mlp.length !== layers) {
    result.problems.push(`${phase}: bits of ${got?.attention.length ?? 0} layers instead of ${layers}`)
    return undefined
  }
  const short = [...got.attention, ...got.mlp].find((row) => row.length !== columns)
  if (short !== undefined) result.problems.push(`${phase}: ${short.length} columns of bits instead of ${columns}`)
  const wantedMargins = expected[margins]
  if (wantedMargins && actual[margins]?.length !== wantedMargins.length) {
    result.problems.push(`${phase}: ${actual[margins]?.length ?? 0} margins instead of ${wantedMargins.length}`)
  }

  let flipped: number | undefined
  /** Sublayers from here on are behind a flip. */
  let tainted = 2 * layers
  for (let column = 0; column < Math.min(columns, end); column++) {
    // A decode step after a flip feeds another token, perhaps; a prompt's tokens are given.
    if (phase === 'decode' && flipped !== undefined) break
    let here = tainted
    for (let sublayer = 0; sublayer < here; sublayer++) {
      const layer = sublayer >> 1
      const module = sublayer % 2 === 0 ? 'attention' : 'mlp'
      const where = `${phase} column ${column}, layer ${layer} ${module}`
      if (wantedMargins) {
        const i = sublayer * columns + column
        compareNumbers(
          `margin at ${where}`,
          [actual[margins]?.[i] ?? Number.NaN],
          [wantedMargins[i]!],
          expected.marginLimit ?? LIMITS.margins,
          result,
        )
      }
      if (got[module][layer]![column] === wanted[module][layer]![column]) continue
      const near = expected.near.some(
        (n) => n.phase === phase && n.layer === layer && n.module === module && n.position === column,
      )
      if (!near) {
        result.problems.push(`${where}: executed ${got[module][layer]![column]}, not ${wanted[module][layer]![column]}`)
        continue
      }
      result.allowed.push(`${where} flipped`)
      flipped ??= column
      // Deeper layers of this token and of those after it; its own MLP too where that one looks at the attention.
      tainted = Math.min(tainted, 2 * (layer + 1))
      here = Math.min(here, expected.postAttention && module === 'attention' ? sublayer + 1 : tainted)
    }
  }
  return flipped
}

function compareNumbers(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  limit: number,
  result: Comparison,
): void {
  if (actual.length !== expected.length) {
    result.problems.push(`${what}: ${actual.length} values instead of ${expected.length}`)
    return
  }
  let worst = 0
  const off = (i: number) => Math.abs((actual[i] as number) - (expected[i] as number))
  for (let i = 1; i < expected.length && !Number.isNaN(off(worst)); i++) if (!(off(i) <= off(worst))) worst = i
  if (!(off(worst) <= limit)) {
    result.problems.push(`${what}: ${actual[worst]} instead of ${expected[worst]} at ${worst}, allowed ${limit}`)
  }
}
