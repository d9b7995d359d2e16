import type { ShownToken, TokenStore } from './token-store.js'

/** How texts and numbers are written for people. */

const MARKS: Readonly<Record<string, string>> = { '\n': '↵', '\r': '␍', '\t': '⇥', ' ': '␣' }

/** A token's text on one line, with marks for white space; its id where the text is unknown. */
export function tokenLabel({ text, id }: Pick<ShownToken, 'text' | 'id'>): string {
  if (text === undefined) return `#${id}`
  return text === '' ? '◌' : text.replace(/[\n\r\t ]/g, (character) => MARKS[character] ?? character)
}

/** For example: Position 2, “nce” (id 1350, from the prompt) ran 20 of 24 sublayers, 83 %. */
export function tokenSentence(store: TokenStore, token: ShownToken): string {
  const name = token.text === undefined ? '' : token.text === '' ? ', part of a character' : `, “${tokenLabel(token)}”`
  const origin = token.origin === 'prompt' ? ', from the prompt' : token.origin ? ', generated' : ''
  const start = `Position ${token.position}${name} (id ${token.id}${origin})`
  if (!token.ran) return `${start} is not run yet: that happens when the text goes on.`
  const ran = store.countRan(token.position)
  return `${start} ran ${ran} of ${store.sublayers} sublayers, ${percent(ran / store.sublayers)}.`
}

/** For example: layer 3, MLP: skipped, margin −0.12 */
export function sublayerWords(store: TokenStore, position: number, sublayer: number): string {
  const name = `layer ${sublayer >> 1}, ${sublayer & 1 ? 'MLP' : 'attention'}`
  if (!store.hasRun(position)) return `${name}: not run yet`
  const margin = store.margin(position, sublayer)
  const distance = margin === undefined ? '' : `, margin ${marginText(margin)}`
  return `${name}: ${store.executed(position, sublayer) ? 'ran' : 'skipped'}${distance}`
}

export function marginText(margin: number): string {
  const text = Math.abs(margin) >= 100 ? margin.toFixed(0) : margin.toFixed(2)
  return text.replace('-', '−')
}

export function percent(share: number): string {
  return `${Math.round(100 * share)} %`
}

export function rate(perSecond: number): string {
  return perSecond > 0 ? `${perSecond < 10 ? perSecond.toFixed(1) : perSecond.toFixed(0)} tokens/s` : '–'
}

export function count(n: number, noun: string): string {
  return `${n.toLocaleString('en-GB')} ${noun}${n === 1 ? '' : 's'}`
}
