import { AliasSource } from '../storage/alias-source.js'
import type { FileSource } from '../storage/source.js'
import { UrlSource } from '../storage/url-source.js'
import type { AdapterName } from './adapters.js'
import { type Request, runCommand } from './commands/index.js'
import { createDawnGpu } from './dawn.js'
import { DirectorySource } from './fs-source.js'
import type { Location } from './locations.js'

/** Where a command's files lie. */
export interface Places {
  readonly model: Location | undefined
  readonly routers: Location | undefined
  readonly lora: Location | undefined
}

/** What a backend reports while it works. */
export interface Reporting {
  readonly progress: (text: string) => void
  readonly signal: AbortSignal
}

/** Commands that read files and compute nothing. */
const WITHOUT_GPU: readonly string[] = ['inspect', 'convert']

/** Runs a command in this process. */
export async function runOnDawn(
  request: Request,
  places: Places,
  adapter: AdapterName,
  reporting: Reporting,
): Promise<unknown> {
  const dawn = WITHOUT_GPU.includes(request.command) ? undefined : await createDawnGpu(adapter)
  const source = (place: Location | undefined) => place && openLocation(place)
  return runCommand(
    {
      gpu: dawn?.gpu,
      model: source(places.model) ?? [],
      routers: source(places.routers),
      lora: source(places.lora),
      ...reporting,
    },
    request,
  )
}

function openLocation({ kind, place, aliases }: Location): FileSource {
  return new AliasSource(kind === 'url' ? new UrlSource(place) : new DirectorySource(place), aliases)
}
