import { type Aliases, AliasSource } from '../storage/alias-source.js'
import { UrlSource } from '../storage/url-source.js'
import { type Request, runCommand } from './commands/index.js'
import { PROGRESS_MARK } from './progress-mark.js'

/** A folder as the page reaches it. */
export interface PagePlace {
  readonly url: string
  readonly aliases: Aliases
}

export interface PageRun {
  readonly request: Request
  readonly places: { readonly model?: PagePlace; readonly routers?: PagePlace; readonly lora?: PagePlace }
}

let running = new AbortController()

/** What Node calls through the browser's automation protocol. */
const host = {
  async run({ request, places }: PageRun): Promise<unknown> {
    running = new AbortController()
    const source = (place: PagePlace | undefined) =>
      place && new AliasSource(new UrlSource(new URL(place.url, location.href).href), place.aliases)
    return runCommand(
      {
        gpu: undefined,
        model: source(places.model) ?? [],
        routers: source(places.routers),
        lora: source(places.lora),
        progress: (text) => console.info(PROGRESS_MARK + text),
        signal: running.signal,
      },
      request,
    )
  },
  async abort(): Promise<void> {
    running.abort()
  },
}

Object.assign(globalThis, { skipstoneHost: host })
