import { byId } from './dom.js'

/** As in style.css: there the settings stand beside the text. */
const wide = window.matchMedia('(min-width: 60rem)')

/** The settings fold away where the screen is narrow; their heading then says what is chosen. */
export function foldSettings(describe: () => string): void {
  const settings = byId('settings', HTMLDetailsElement)
  const now = byId('settings-now', HTMLElement)
  const show = () => {
    now.textContent = describe()
  }
  const fold = () => {
    settings.open = wide.matches
  }
  settings.addEventListener('input', show)
  wide.addEventListener('change', fold)
  fold()
  show()
}
