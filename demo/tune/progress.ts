import { byId } from '../dom.js'

const root = byId('progress', HTMLElement)
const bar = byId('bar', HTMLProgressElement)
const text = byId('detail', HTMLElement)

/** What is under way, and how much of it is done where that is known; it changes too often to be read out. */
export function showProgress(detail: string, done?: number, all = 1): void {
  root.hidden = false
  text.textContent = detail
  bar.max = all
  if (done === undefined) bar.removeAttribute('value')
  else bar.value = done
}

export function hideProgress(): void {
  root.hidden = true
}
