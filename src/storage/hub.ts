import { SkipstoneError } from '../errors.js'

export interface HubOptions {
  /** Default `https://huggingface.co`. */
  readonly endpoint?: string
  /** For private and gated models; sent to the endpoint only. */
  readonly token?: string
}

/** A model on a hub. */
export interface HubModel {
  /** The folder of its files. */
  readonly files: string
  /** The folder of the same files as Git holds them: pointers in place of large ones. */
  readonly pointers: string
  /** The revision is a commit: its files never change. */
  readonly immutable: boolean
}

const HUB = 'https://huggingface.co'
const SEGMENT = String.raw`[A-Za-z0-9][\w.-]*`
const HUB_NAME = new RegExp(`^(${SEGMENT}/${SEGMENT})(?:@([\\w./-]+))?$`)

/** Reads `owner/name` or `owner/name@revision`; undefined for everything else, addresses among it. */
export function parseHubName(text: string): { repository: string; revision: string } | undefined {
  const [, repository, revision = 'main'] = HUB_NAME.exec(text) ?? []
  return repository === undefined ? undefined : { repository, revision }
}

/** Where the files of a model on a hub lie. `bad-option` for an endpoint that is no URL. */
export function hubModel(name: { repository: string; revision: string }, options: HubOptions = {}): HubModel {
  const endpoint = (options.endpoint ?? HUB).replace(/\/+$/, '')
  if (!URL.canParse(endpoint)) {
    throw new SkipstoneError('bad-option', `The hub's endpoint "${endpoint}" is not a URL.`)
  }
  const revision = name.revision.split('/').map(encodeURIComponent).join('%2F')
  const at = (kind: string) => `${endpoint}/${name.repository}/${kind}/${revision}/`
  return { files: at('resolve'), pointers: at('raw'), immutable: /^[0-9a-f]{40}$/.test(name.revision) }
}
