import { SkipstoneError } from '../errors.js'
import { PickedFilesSource } from '../storage/file-source.js'
import type { FileSource } from '../storage/source.js'
import { UrlSource } from '../storage/url-source.js'
import type { ModelSource } from './options.js'

/** @throws `bad-option` for something that is no URL. */
export function toFileSource(source: ModelSource): FileSource {
  if (typeof source === 'string' || source instanceof URL) {
    const base = typeof location === 'undefined' ? undefined : location.href
    if (!URL.canParse(source, base)) {
      throw new SkipstoneError('bad-option', `"${source}" is not a URL: give the address of a folder of model files.`)
    }
    return new UrlSource(new URL(source, base).href)
  }
  return 'read' in source ? source : new PickedFilesSource(source)
}
