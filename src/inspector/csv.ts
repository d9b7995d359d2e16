import type { TokenStore } from './token-store.js'

/** What a spreadsheet would run as a formula. The apostrophe itself is among them so that taking one away gives the text back. */
const FORMULA = /^[=+\-@\t\r\n']/

/**
 * One row per position, as RFC 4180 says. A text that a spreadsheet would take for a formula has an apostrophe in front. The columns
 * `attention` and `mlp` hold one digit per layer, 1 = ran: import them as text. Decisions of a token that was not run are empty.
 */
export function writeCsv(store: TokenStore): string {
  const layers = Array.from({ length: store.layers }, (_, layer) => layer)
  const head = ['position', 'token', 'text', 'origin', 'attention', 'mlp', 'attention_skipped', 'mlp_skipped']
  if (store.hasMargins) {
    head.push(...layers.map((l) => `margin_attention_${l}`), ...layers.map((l) => `margin_mlp_${l}`))
  }
  const rows = [head]
  for (let position = 0; position < store.length; position++) rows.push(row(store, position))
  return rows.map((cells) => `${cells.map(quoted).join(',')}\r\n`).join('')
}

function row(store: TokenStore, position: number): string[] {
  const { id, text, origin, ran } = store.token(position)
  const skipped = (kind: 'attention' | 'mlp') => (ran ? String(store.layers - store.countRan(position, kind)) : '')
  const pattern = (kind: 'attention' | 'mlp') => (ran ? store.pattern(position, kind) : '')
  const cells = [String(position), String(id), guarded(text ?? ''), origin ?? '']
  cells.push(pattern('attention'), pattern('mlp'), skipped('attention'), skipped('mlp'))
  if (store.hasMargins) {
    for (const offset of [0, 1]) {
      for (let layer = 0; layer < store.layers; layer++)
        cells.push(String(store.margin(position, 2 * layer + offset) ?? ''))
    }
  }
  return cells
}

function guarded(text: string): string {
  return FORMULA.test(text) ? `'${text}` : text
}

function quoted(cell: string): string {
  return /[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}
