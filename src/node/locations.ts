import { existsSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { SkipstoneError } from '../errors.js'
import { asOnlyGguf, SHARD_INDEX, SINGLE_FILE } from '../model/checkpoint.js'
import { ROUTER_FILE } from '../sdk/routers.js'
import type { Aliases } from '../storage/alias-source.js'
import { resolveUserPath } from './user-path.js'

/** A folder of files: on disk or at a URL; `aliases` where a file goes by another name. */
export interface Location {
  readonly kind: 'folder' | 'url'
  /** Absolute path, or URL. */
  readonly place: string
  readonly aliases: Aliases
}

/** The embedded model that commands use where none is named. */
export const DEFAULT_MODEL = 'pebble'

const isUrl = (text: string) => /^https?:\/\//.test(text)

/**
 * `--model`: an existing path wins over the name of an embedded model. A folder means its safetensors, else its only GGUF
 * file; a safetensors or GGUF file means its folder with that file as the only one.
 * @throws `not-found`, `unsupported`, `bad-option` for a folder with several GGUF files and no safetensors.
 */
export function modelLocation(text: string): Location {
  if (isUrl(text)) return modelUrl(text)
  const given = resolveUserPath(text)
  if (existsSync(given)) {
    if (statSync(given).isDirectory()) return modelFolder(given)
    refuseOtherFormats(given, ['.safetensors', '.gguf'])
    return { kind: 'folder', place: path.dirname(given), aliases: onlyFile(path.basename(given)) }
  }
  const embedded = embeddedFolder(text)
  if (embedded) return { kind: 'folder', place: embedded, aliases: {} }
  throw new SkipstoneError(
    'not-found',
    `There is no model "${text}": give a folder with config.json and model.safetensors, a URL, or the name of an embedded model (${DEFAULT_MODEL}).`,
  )
}

function modelUrl(text: string): Location {
  const [, file] = /([^/]+\.gguf)$/.exec(new URL(text).pathname) ?? []
  if (file === undefined) return { kind: 'url', place: text, aliases: {} }
  const folder = new URL(text)
  folder.pathname = folder.pathname.slice(0, -file.length)
  return { kind: 'url', place: folder.href, aliases: onlyFile(decodeURIComponent(file)) }
}

function modelFolder(folder: string): Location {
  const names = readdirSync(folder)
  const gguf = names.filter((name) => name.endsWith('.gguf'))
  if (names.includes(SINGLE_FILE) || names.includes(SHARD_INDEX) || gguf.length === 0) {
    return { kind: 'folder', place: folder, aliases: {} }
  }
  if (gguf.length > 1) {
    throw new SkipstoneError('bad-option', `${folder} holds ${gguf.join(' and ')}: give the path of one of them.`)
  }
  return { kind: 'folder', place: folder, aliases: onlyFile(gguf[0] as string) }
}

function onlyFile(file: string): Aliases {
  return file.endsWith('.gguf') ? asOnlyGguf(file) : { [SINGLE_FILE]: file }
}

/**
 * `--routers`: a folder with routers.safetensors, or a safetensors or PyTorch file of any name; or an embedded folder,
 * `pebble/skipgpt-25`.
 */
export function routersLocation(text: string): Location {
  if (isUrl(text)) {
    if (!/\.\w+$/.test(new URL(text).pathname)) return { kind: 'url', place: text, aliases: {} }
    refuseOtherFormats(text, ROUTER_FORMATS)
    const file = text.slice(text.lastIndexOf('/') + 1)
    return { kind: 'url', place: text.slice(0, -file.length), aliases: { [ROUTER_FILE]: file } }
  }
  const given = existing(text, 'router file or folder')
  if (statSync(given).isDirectory()) return { kind: 'folder', place: given, aliases: {} }
  refuseOtherFormats(given, ROUTER_FORMATS)
  return { kind: 'folder', place: path.dirname(given), aliases: { [ROUTER_FILE]: path.basename(given) } }
}

/** `--lora`: a PEFT folder, or an embedded one, `pebble/skipgpt-25/lora`. */
export function loraLocation(text: string): Location {
  return isUrl(text)
    ? { kind: 'url', place: text, aliases: {} }
    : { kind: 'folder', place: existing(text, 'LoRA folder'), aliases: {} }
}

function existing(text: string, what: string): string {
  const given = resolveUserPath(text)
  if (existsSync(given)) return given
  const embedded = embeddedFolder(text)
  if (embedded) return embedded
  throw new SkipstoneError('not-found', `There is no ${what} at "${text}".`)
}

const ROUTER_FORMATS = ['.safetensors', '.pth', '.pt', '.bin']

function refuseOtherFormats(file: string, formats: readonly string[]): void {
  if (formats.some((ending) => file.endsWith(ending))) return
  throw new SkipstoneError(
    'unsupported',
    `${path.basename(file)}: this version reads ${formats.join(', ')} here; other formats come later.`,
  )
}

/** Models lie in public/ of a checkout, and beside the built modules of a package. A name never leads out of there. */
function embeddedFolder(name: string): string | undefined {
  if (!/^\w[\w.-]*(\/\w[\w.-]*)*$/.test(name)) return undefined
  const here = path.dirname(fileURLToPath(import.meta.url))
  return [path.join(here, 'models', name), path.join(here, '../../public/models', name)].find(existsSync)
}
