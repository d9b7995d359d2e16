import { cpus, type } from 'node:os'
import { peerVersions } from './install.js'
import type { PeerNumbers, PeerRow } from './rows.js'
import { PROMPTS } from './visit.js'

/** The rows as BENCH.md has them; behind every figure of a peer, in brackets, how far we are ahead (above 1) or behind. */
export function table(rows: readonly PeerRow[], command: string): string {
  const heads = ['shape', 'browser', 'engine', 'load ms', 'first token ms']
  heads.push(...PROMPTS.map((n) => `prefill ${n} tok/s`), 'decode tok/s', 'code KiB', 'memory MiB', 'tokens right')
  const versions = Object.entries(peerVersions()).map((one) => one.join(' '))
  return `Machine: ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${cpus().length} cores, ${type()}, Node ${process.version}
Peers: ${versions.join(', ')}
Command: ${command}

| ${heads.join(' | ')} |
|${' --- |'.repeat(heads.length)}
${rows.map((row) => `| ${cells(row).join(' | ')} |`).join('\n')}
${rows.flatMap(({ shape, browser, engine, error }) => (error ? `\n${shape}, ${browser}, ${engine}: ${error}` : [])).join('\n')}
`
}

function cells({ shape, browser, engine, numbers, ratios, agreement }: PeerRow): string[] {
  const who = [shape, browser, engine]
  if (numbers === undefined || agreement === undefined)
    return [...who, 'does not run', ...Array(PROMPTS.length + 5).fill('–')]
  const cell = (of: (numbers: PeerNumbers) => number | null | undefined, digits: number, unit = 1) => {
    const value = of(numbers)
    if (value === null || value === undefined) return '–'
    const ratio = ratios && of(ratios)
    return (value / unit).toFixed(digits) + (ratio ? ` (${ratio.toFixed(2)})` : '')
  }
  return [
    ...who,
    cell((n) => n.loadMs, 0),
    cell((n) => n.firstTokenMs, 0),
    ...PROMPTS.map((length) => cell((n) => n.prefill[length], 1)),
    cell((n) => n.decode, 1),
    cell((n) => n.codeBytes, 0, 1024),
    cell((n) => n.memoryBytes, 0, 1024 ** 2),
    `${agreement.equal} of ${agreement.of}`,
  ]
}
