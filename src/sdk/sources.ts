import { SkipstoneError } from '../errors.js'
import { asOnlyGguf } from '../model/checkpoint.js'
import { AliasSource } from '../storage/alias-source.js'
import { defaultStore } from '../storage/default-store.js'
import { PickedFilesSource } from '../storage/file-source.js'
import { HttpFolder } from '../storage/http-folder.js'
import { hubModel, parseHubName } from '../storage/hub.js'
import { fromManifest, fromPointers } from '../storage/published.js'
import type { FileSource } from '../storage/source.js'
import { StoredSource } from '../storage/stored-source.js'
import { UrlSource } from '../storage/url-source.js'
import type { ModelSource, SourceOptions } from './options.js'

/** A folder of a server, and what is known of it beside its address. */
interface Place {
  readonly address: string
  readonly pointers?: string
  readonly immutable: boolean
  readonly token: string | undefined
  /** The file in the folder that is the model, where the address named one. */
  readonly gguf: string | undefined
}

/**
 * The files of `source`. What comes from a server is kept in the browser's database, unless `store` is false.
 * @throws `bad-option` for something that is no URL, `unsupported` for a database of a newer version.
 */
export async function openSource(source: ModelSource, options: SourceOptions): Promise<FileSource> {
  const place = placeOf(source, options)
  if (!place) return localSource(source)
  const found = await openPlace(place, options)
  return place.gguf === undefined ? found : new AliasSource(found, asOnlyGguf(place.gguf))
}

async function openPlace(place: Place, options: SourceOptions): Promise<FileSource> {
  const { token, pointers, immutable } = place
  const folder = new HttpFolder(place.address, { token })
  if (options.store === false) return new UrlSource(place.address, { token })
  const { store, lasting } = await defaultStore()
  if (!lasting) {
    warn(
      options,
      'There is no IndexedDB here (a private window?): the model is kept in memory, and fetched again next time.',
    )
  }
  const published = pointers ? fromPointers(new HttpFolder(pointers, { token })) : fromManifest(folder)
  return new StoredSource({ folder, store, immutable, published })
}

/** The files of `source`, read where they lie and not kept. @throws `bad-option` for something that is no URL. */
export function directSource(source: ModelSource, options: Pick<SourceOptions, 'hub' | 'file'> = {}): FileSource {
  const place = placeOf(source, options)
  if (!place) return localSource(source)
  const found = new UrlSource(place.address, { token: place.token })
  return place.gguf === undefined ? found : new AliasSource(found, asOnlyGguf(place.gguf))
}

function placeOf(source: ModelSource, { hub, file }: Pick<SourceOptions, 'hub' | 'file'>): Place | undefined {
  if (typeof source !== 'string' && !(source instanceof URL)) return undefined
  const name = typeof source === 'string' ? parseHubName(source) : undefined
  if (name) {
    const { files, pointers, immutable } = hubModel(name, hub)
    return { address: files, pointers, immutable, token: hub?.token, gguf: file }
  }
  const base = typeof location === 'undefined' ? undefined : location.href
  if (!URL.canParse(source, base)) {
    throw new SkipstoneError(
      'bad-option',
      `"${source}" is neither a URL nor owner/name: give the address of a folder of model files.`,
    )
  }
  const url = new URL(source, base)
  const [, named] = /([^/]+\.gguf)$/.exec(url.pathname) ?? []
  if (named !== undefined) url.pathname = url.pathname.slice(0, -named.length)
  const gguf = named === undefined ? file : decodeURIComponent(named)
  return { address: url.href, immutable: false, token: undefined, gguf }
}

function localSource(source: ModelSource): FileSource {
  return 'read' in (source as FileSource) ? (source as FileSource) : new PickedFilesSource(source as readonly File[])
}

export function warn({ onWarning }: SourceOptions, message: string): void {
  if (onWarning) onWarning(message)
  else console.warn(message)
}
