import { type ErrorCode, throwIfAborted } from '../errors.js'
import type { Engine } from '../runtime/engine.js'
import type { SkipRatios } from '../runtime/trace.js'
import { dense } from '../skip/dense.js'
import type { SkipPolicy } from '../skip/policy.js'
import { type PolicyRequest, parsePolicy, policies, policyAt, policyText } from '../skip/registry.js'
import { closestTo, fixedShare, type Resolved, without } from './closest-share.js'
import { evaluate } from './evaluate.js'
import { type Runner, type Speed, speeds } from './speeds.js'

export interface SweepOptions {
  /** As text. One that says its share itself is one point. Default: all that this model runs, with their variants. */
  readonly policies?: readonly string[]
  /** Shares to skip, 0 to 1. Default 0.1, 0.25 and 0.4. */
  readonly shares?: readonly number[]
  /** Losses of choices by lot are means over so many seeds; speeds are those of the first. Default 3. */
  readonly seeds?: number
  /** Rounds of timing, of which medians are taken; 0 leaves speeds out. Default 3. */
  readonly rounds?: number
  readonly signal?: AbortSignal
  /** Steps done and to do. */
  readonly onProgress?: (done: number, all: number) => void
}

/** A policy at one share. */
export interface SweepPoint {
  /** As text, without seed where it is the mean of several. */
  readonly policy: string
  /** What it was to skip; undefined where the policy itself says so. */
  readonly share: number | undefined
  /** What it skipped of the text. */
  readonly skip: Pick<SkipRatios, 'attention' | 'mlp' | 'total'>
  /** Mean negative log-likelihood per predicted token, in nats. */
  readonly nll: number
  /** Lowest and highest of several seeds. */
  readonly nllRange?: readonly [number, number]
  /** Absent without rounds. */
  readonly speed?: SweepSpeed
}

/** Medians, and how many times as fast as dense within the same rounds. */
export interface SweepSpeed extends Speed {
  readonly prefillSpeedup: number
  readonly decodeSpeedup: number
}

export interface SweepLine {
  readonly policy: string
  /** It computes what it skips and throws that away: the control, whose speed is dense's at best. */
  readonly masked: boolean
  /** Those that are within this model's reach. */
  readonly points: readonly SweepPoint[]
}

/** Loss and speed against the share that is skipped. */
export interface Sweep {
  /** Predicted tokens behind every loss. */
  readonly tokens: number
  readonly dense: SweepPoint
  readonly lines: readonly SweepLine[]
}

const SHARES = [0.1, 0.25, 0.4]
const PROMPT_TOKENS = 128
const DECODE_TOKENS = 48

/** A point as it comes about: one choice, or one for each seed. */
interface Draft {
  readonly policy: string
  readonly share: number | undefined
  readonly resolved: readonly SkipPolicy[]
  readonly skip: SweepPoint['skip']
  readonly losses: readonly number[]
}

interface DraftLine extends Omit<SweepLine, 'points'> {
  readonly drafts: readonly Draft[]
}

/**
 * Runs policies at several shares over windows of ids. What a policy is asked to skip is moved until it skips about the share of the first
 * window; that looks at no loss. Speeds are those of reading the beginning of the first window and generating from there.
 * @throws `bad-option` where no window predicts anything, `aborted`, `device-lost`.
 */
export async function sweep(
  engine: Engine,
  windows: readonly (readonly number[])[],
  options: SweepOptions & { contextLength: number; resolve(request: PolicyRequest): Promise<SkipPolicy> },
): Promise<Sweep> {
  const { shares = SHARES, seeds = 3, rounds = 3, contextLength, resolve, signal, onProgress } = options
  const abort = signal ? { signal } : {}
  const names =
    options.policies ?? policies().flatMap(({ policy, share, needs }) => (share && needs !== 'weights' ? [policy] : []))
  const asked = names.map((name) => ({ name, of: saysShare(name) ? [undefined] : shares }))
  const points = asked.reduce((sum, { of }) => sum + of.length, 0)
  const all = 1 + points + (rounds > 0 ? rounds + 1 : 0)
  let done = 0
  const step = () => onProgress?.(++done, all)
  const loss = (policy: SkipPolicy, of = windows) => evaluate(engine, policy, of, { contextLength, ...abort })
  const first = windows.find((window) => window.length > 1)?.slice(0, contextLength) ?? []
  /** What it skips of the first window; of a set that is fixed, no need to look. */
  const skips = async (policy: SkipPolicy) =>
    fixedShare(policy, engine.shape.config.layers) ?? (await loss(policy, [first])).skip.total

  const { nll, skip, tokens } = await loss(dense)
  const reference: Draft = { policy: 'dense', share: 0, resolved: [dense], skip, losses: [nll] }
  step()
  const lines: DraftLine[] = []
  for (const { name, of } of asked) {
    const drafts: Draft[] = []
    for (const share of of) {
      throwIfAborted(signal)
      const absent = expected(share === undefined, options.policies !== undefined)
      const found: Resolved[] = []
      for (const seed of isSeeded(name) ? Array(seeds).keys() : [undefined]) {
        const its = await without(absent, () => closestTo(share, name, seed, { resolve, skips }))
        if (its) found.push(its)
      }
      step()
      const [one] = found
      if (!one) continue
      const evaluations = []
      for (const { policy } of found) evaluations.push(await loss(policy))
      drafts.push({
        policy: textOf(one.request, found.length > 1),
        share,
        resolved: found.map(({ policy }) => policy),
        skip: meanSkip(evaluations.map((its) => its.skip)),
        losses: evaluations.map((its) => its.nll),
      })
    }
    if (drafts.length > 0) lines.push({ policy: name, masked: false, drafts })
  }
  const control = lines.find(({ drafts }) => drafts.every(({ resolved }) => resolved.every((its) => its.scoring)))
  if (control && rounds > 0) lines.push({ ...control, masked: true })

  const timed =
    rounds > 0 ? await timeAll(engine, reference, lines, { first, contextLength, rounds, signal, step }) : undefined
  return {
    tokens,
    dense: point(reference, timed?.get(reference, false)),
    lines: lines.map(({ policy, masked, drafts }) => ({
      policy,
      masked,
      points: drafts.map((draft) => point(draft, timed?.get(draft, masked))),
    })),
  }
}

/** How a point may fail that is then left out. */
function expected(isPoint: boolean, isAskedFor: boolean): ErrorCode[] {
  if (isPoint) return []
  return isAskedFor ? ['bad-option'] : ['bad-option', 'missing-weights']
}

function infoOf(text: string) {
  const { name, options } = parsePolicy(text)
  return { options, info: policies().find(({ policy }) => policy === name) }
}

/** Whether it cannot be asked for a share, or already is. */
function saysShare(text: string): boolean {
  const { options, info } = infoOf(text)
  if (info?.share === undefined || info.share in options) return true
  try {
    policyAt(text, 0.5)
    return false
  } catch {
    // Such as a threshold, which is instead of a share.
    return true
  }
}

function isSeeded(text: string): boolean {
  const { options, info } = infoOf(text)
  return info?.seeded === true && !('seed' in options)
}

function textOf({ name, options: { seed, ...options } }: PolicyRequest, isMean: boolean): string {
  return policyText({ name, options: { ...options, ...(seed !== undefined && !isMean && { seed }) } })
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, one) => sum + one, 0) / values.length
}

function meanSkip(all: readonly SweepPoint['skip'][]): SweepPoint['skip'] {
  const of = (key: 'attention' | 'mlp' | 'total') => mean(all.map((skip) => skip[key]))
  return { attention: of('attention'), mlp: of('mlp'), total: of('total') }
}

function point({ policy, share, skip, losses }: Draft, speed: SweepSpeed | undefined): SweepPoint {
  return {
    policy,
    share,
    skip: meanSkip([skip]),
    nll: mean(losses),
    ...(losses.length > 1 && { nllRange: [Math.min(...losses), Math.max(...losses)] as const }),
    ...(speed && { speed }),
  }
}

/** Speeds of all points; of several seeds, those of the first. */
async function timeAll(
  engine: Engine,
  reference: Draft,
  lines: readonly DraftLine[],
  o: {
    first: readonly number[]
    contextLength: number
    rounds: number
    signal: AbortSignal | undefined
    step: () => void
  },
) {
  const points = [
    { draft: reference, masked: false },
    ...lines.flatMap(({ drafts, masked }) => drafts.map((draft) => ({ draft, masked }))),
  ]
  const runners = points.map(({ draft, masked }): Runner => ({ policy: draft.resolved[0] as SkipPolicy, masked }))
  const prompt = o.first.slice(0, Math.min(PROMPT_TOKENS, Math.ceil(o.contextLength / 2)))
  const tokens = Math.min(DECODE_TOKENS, o.contextLength - prompt.length)
  const found = await speeds(engine, runners, { prompt, tokens, rounds: o.rounds, signal: o.signal, onRound: o.step })
  const [base] = found as [Speed]
  const byPoint = points.map((its, i) => {
    const one = found[i] as Speed
    const speed: SweepSpeed = {
      ...one,
      prefillSpeedup: one.prefillTokensPerSecond / base.prefillTokensPerSecond,
      decodeSpeedup: one.decodeTokensPerSecond / base.decodeTokensPerSecond,
    }
    return { ...its, speed }
  })
  return {
    get: (draft: Draft, masked: boolean) => byPoint.find((its) => its.draft === draft && its.masked === masked)?.speed,
  }
}
