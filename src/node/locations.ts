import { existsSync, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { SkipstoneError } from '../errors.js'
import { ROUTER_FILE } from '../sdk/routers.js'
import { resolveUserPath } from './user-path.js'

/** A folder of files: on disk or at a URL; `aliases` where a file goes by another name. */
export interface Location {
  readonly kind: 'folder' | 'url'
  /** Absolute path, or URL. */
  readonly place: string
  readonly aliases: Readonly<Record<string, string>>
}

/** The embedded model that commands use where none is named. */
export const DEFAULT_MODEL = 'random-tiny'

const isUrl = (text: string) => /^https?:\/\//.test(text)

/**
 * `--model`: an existing path wins over the name of an embedded model. A folder is what it is, a safetensors file means
 * its folder with that file as the only one.
 * @throws `not-found`, `unsupported` (GGUF).
 */
export function modelLocation(text: string): Location {
  if (isUrl(text)) return { kind: 'url', place: text, aliases: {} }
  const given = resolveUserPath(text)
  if (existsSync(given)) {
    if (statSync(given).isDirectory()) return { kind: 'folder', place: given, aliases: {} }
    refuseOtherFormats(given)
    return { kind: 'folder', place: path.dirname(given), aliases: { 'model.safetensors': path.basename(given) } }
  }
  const embedded = /^[\w.-]+$/.test(text) ? embeddedModel(text) : undefined
  if (embedded) return { kind: 'folder', place: embedded, aliases: {} }
  throw new SkipstoneError(
    'not-found',
    `There is no model "${text}": give a folder with config.json and model.safetensors, a URL, or the name of an embedded model (${DEFAULT_MODEL}).`,
  )
}

/** `--routers`: a folder with routers.safetensors, or a safetensors file of any name. */
export function routersLocation(text: string): Location {
  if (isUrl(text)) {
    if (!/\.\w+$/.test(new URL(text).pathname)) return { kind: 'url', place: text, aliases: {} }
    refuseOtherFormats(text)
    const file = text.slice(text.lastIndexOf('/') + 1)
    return { kind: 'url', place: text.slice(0, -file.length), aliases: { [ROUTER_FILE]: file } }
  }
  const given = existing(text, 'router file or folder')
  if (statSync(given).isDirectory()) return { kind: 'folder', place: given, aliases: {} }
  refuseOtherFormats(given)
  return { kind: 'folder', place: path.dirname(given), aliases: { [ROUTER_FILE]: path.basename(given) } }
}

/** `--lora`: a PEFT folder. */
export function loraLocation(text: string): Location {
  return isUrl(text)
    ? { kind: 'url', place: text, aliases: {} }
    : { kind: 'folder', place: existing(text, 'LoRA folder'), aliases: {} }
}

function existing(text: string, what: string): string {
  const given = resolveUserPath(text)
  if (!existsSync(given)) throw new SkipstoneError('not-found', `There is no ${what} at "${text}".`)
  return given
}

function refuseOtherFormats(file: string): void {
  if (file.endsWith('.safetensors')) return
  throw new SkipstoneError(
    'unsupported',
    `${path.basename(file)}: this version reads safetensors only; GGUF and PyTorch files come later.`,
  )
}

/** Models lie in public/ of a checkout, and beside the built modules of a package. */
function embeddedModel(name: string): string | undefined {
  const here = path.dirname(fileURLToPath(import.meta.url))
  return [path.join(here, 'models', name), path.join(here, '../../public/models', name)].find(existsSync)
}
