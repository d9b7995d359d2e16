import { SkipstoneError } from '../src/index.js'
import { byId } from './dom.js'

const status = byId('status', HTMLElement)
const alert = byId('alert', HTMLElement)

/** A short line about what the page is doing, read out when a screen reader is free. */
export function say(text: string): void {
  status.textContent = text
}

/** What is not as it could be, in the words of the library. */
export function warn(text: string): void {
  byId('warning', HTMLElement).textContent = text
}

/** What went wrong, in the words of the error; an abort is what the user wanted. */
export function report(error: unknown): void {
  if (error instanceof SkipstoneError && error.code === 'aborted') {
    say('Stopped.')
    return
  }
  say('')
  alert.textContent =
    error instanceof SkipstoneError
      ? error.message
      : `Something unexpected went wrong: ${error instanceof Error ? error.message : String(error)}`
  alert.hidden = false
  alert.scrollIntoView({ block: 'nearest' })
}

export function clearAlert(): void {
  alert.hidden = true
  alert.textContent = ''
}
