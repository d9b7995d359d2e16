import { median } from '../../src/study/median.js'
import type { Visits } from './compare.js'
import type { EngineName } from './engines.js'
import { OURS } from './engines.js'
import type { Visit } from './visit.js'

/** Medians over the rounds; of one engine, or of ours over the peer's where they are ratios, so that above 1 we are ahead. */
export interface PeerNumbers {
  readonly loadMs: number
  readonly firstTokenMs: number
  /** Tokens per second by prompt length. */
  readonly prefill: Readonly<Record<number, number>>
  /** Tokens per second. */
  readonly decode: number
  readonly codeBytes: number
  readonly memoryBytes: number | null
}

export interface PeerRow {
  readonly shape: string
  readonly browser: string
  readonly engine: EngineName
  readonly rounds: number
  readonly numbers?: PeerNumbers
  /** How often the peer takes what we take: above 1 we are ahead. */
  readonly ratios?: PeerNumbers
  /** How many of its tokens, from the first on, are those of the reference; of how many. */
  readonly agreement?: { readonly equal: number; readonly of: number }
  readonly error?: string
}

/** Rows of the engines of one shape in one browser. */
export function peerRows(all: readonly Visits[]): PeerRow[] {
  const ours = all.find(({ engine, done }) => engine === OURS && done.length > 0)
  const base = ours && numbersOf(ours.done)
  return all.map(({ shape, browser, engine, done, expected, error }): PeerRow => {
    const row = { shape, browser, engine, rounds: done.length, ...(error !== undefined && { error }) }
    if (done.length === 0) return row
    const numbers = numbersOf(done)
    const ratios = base && engine !== OURS ? ratiosOf(base, numbers) : undefined
    return { ...row, numbers, ...(ratios && { ratios }), agreement: agreementOf(done, expected) }
  })
}

function numbersOf(visits: readonly Visit[]): PeerNumbers {
  const of = (value: (visit: Visit) => number) => median(visits.map(value))
  const lengths = Object.keys(visits[0]!.prefillMs).map(Number)
  const memory = visits.flatMap(({ memoryBytes }) => memoryBytes ?? [])
  return {
    loadMs: of((one) => one.loadMs),
    firstTokenMs: of((one) => one.firstTokenMs),
    prefill: Object.fromEntries(lengths.map((n) => [n, (1000 * n) / of((one) => one.prefillMs[n]!)])),
    decode: 1000 / of((one) => one.decodeMs),
    codeBytes: of((one) => one.codeBytes),
    memoryBytes: memory.length === 0 ? null : median(memory),
  }
}

function ratiosOf(ours: PeerNumbers, peer: PeerNumbers): PeerNumbers {
  const prefill = Object.entries(peer.prefill).map(([n, rate]) => [n, ours.prefill[Number(n)]! / rate] as const)
  return {
    loadMs: peer.loadMs / ours.loadMs,
    firstTokenMs: peer.firstTokenMs / ours.firstTokenMs,
    prefill: Object.fromEntries(prefill),
    decode: ours.decode / peer.decode,
    codeBytes: peer.codeBytes / ours.codeBytes,
    memoryBytes: peer.memoryBytes !== null && ours.memoryBytes !== null ? peer.memoryBytes / ours.memoryBytes : null,
  }
}

/** Of the round that agrees least. */
function agreementOf(visits: readonly Visit[], expected: readonly number[]): { equal: number; of: number } {
  const counts = visits.map(({ ids }) => {
    const different = ids.findIndex((id, i) => id !== expected[i])
    return { equal: different === -1 ? ids.length : different, of: ids.length }
  })
  return counts.reduce((least, one) => (one.equal < least.equal ? one : least))
}
