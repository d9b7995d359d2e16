import { SkipstoneError } from '../../errors.js'

export function bad(what: string): SkipstoneError {
  return new SkipstoneError('bad-option', `The request is not one of OpenAI's API: ${what}.`)
}
