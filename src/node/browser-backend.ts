import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AdapterName } from './adapters.js'
import { type BrowserBackend, openPage } from './browser-page.js'
import type { Request } from './commands/index.js'
import type { Places, Reporting } from './dawn-backend.js'
import type { Location } from './locations.js'
import type { PagePlace, PageRun } from './page.js'
import { buildPageBundle } from './page-bundle.js'
import { startPageServer } from './page-server.js'
import { PROGRESS_MARK } from './progress-mark.js'

// Not `new URL('./page.ts', ...)`: a bundler would take that for an asset.
const ENTRY = path.join(path.dirname(fileURLToPath(import.meta.url)), 'page.ts')
const HTML =
  '<!doctype html><meta charset="utf-8"><title>Skipstone</title><script type="module" src="/page.js"></script>'

/** Runs a command in a page of a headless browser; the page reads local files from a server on this machine. */
export async function runInBrowser(
  backend: BrowserBackend,
  request: Request,
  places: Places,
  adapter: AdapterName,
  reporting: Reporting,
): Promise<unknown> {
  const folders = new Map<string, string>()
  const reach = (name: string, place: Location | undefined): PagePlace | undefined => {
    if (!place) return undefined
    if (place.kind === 'url') return { url: place.place, aliases: place.aliases }
    folders.set(`/${name}/`, place.place)
    return { url: `/${name}/`, aliases: place.aliases }
  }
  const model = reach('model', places.model)
  const routers = reach('routers', places.routers)
  const lora = reach('lora', places.lora)
  const run: PageRun = {
    request,
    places: { ...(model && { model }), ...(routers && { routers }), ...(lora && { lora }) },
  }
  const server = await startPageServer({
    files: new Map([
      ['/', { type: 'text/html', body: HTML }],
      ['/page.js', { type: 'text/javascript', body: await buildPageBundle(ENTRY) }],
    ]),
    folders,
  })
  try {
    const page = await openPage(backend, `${server.origin}/`, {
      adapter,
      onConsole(_level, text) {
        if (text.startsWith(PROGRESS_MARK)) reporting.progress(text.slice(PROGRESS_MARK.length))
      },
    })
    const abort = () => page.evaluate('abort').catch(() => undefined)
    reporting.signal.addEventListener('abort', abort)
    try {
      return await page.evaluate('run', run)
    } finally {
      reporting.signal.removeEventListener('abort', abort)
      await page.close()
    }
  } finally {
    await server.close()
  }
}
