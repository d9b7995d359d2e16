import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { BrowserBackend } from '../../src/node/browser-page.js'
import type { PageFile } from '../../src/node/page-server.js'
import { TemporaryFolder } from '../../src/node/temporary-folder.js'
import { type EngineName, isMeasuredIn } from './engines.js'
import { expectedTokens } from './expected-tokens.js'
import { writeModelFolder } from './models/model-folder.js'
import { peerModel } from './models/shapes.js'
import { bundlePage } from './pages/bundle.js'
import { type PeerRow, peerRows } from './rows.js'
import type { Selection } from './selection.js'
import { DECODED, PROMPTS, type Visit, type VisitRequest, visit } from './visit.js'

/** An engine's visits of one shape in one browser. */
export interface Visits {
  readonly shape: string
  readonly browser: BrowserBackend
  readonly engine: EngineName
  readonly expected: readonly number[]
  readonly done: Visit[]
  /** Why there is nothing to measure; an engine that failed is not visited again. */
  error?: string
}

const CONTEXT = 640

/** Measures every engine in every browser on every shape; engines take turns. */
export async function comparePeers(selection: Selection, progress: (text: string) => void): Promise<PeerRow[]> {
  const pages = new Map<EngineName, Map<string, PageFile>>()
  for (const engine of selection.engines) pages.set(engine, await bundlePage(engine))
  const temporary = await TemporaryFolder.create()
  try {
    const rows: PeerRow[] = []
    for (const shape of selection.shapes) {
      const folder = path.join(temporary.path, shape)
      await mkdir(folder)
      progress(`${shape}: writing the model\n`)
      const request = await prepare(shape, folder)
      progress(`${shape}: expected tokens\n`)
      const expected = await expectedTokens(folder, request.prompt(PROMPTS[0]), DECODED + 1)
      for (const browser of selection.browsers) {
        const engines = selection.engines.filter((engine) => isMeasuredIn(engine, browser))
        const all = engines.map((engine): Visits => ({ shape, browser, engine, expected, done: [] }))
        for (let round = 0; round < selection.rounds; round++) {
          for (const visits of all)
            await visitOnce(visits, { ...request, browser, page: pages.get(visits.engine)! }, progress)
        }
        rows.push(...peerRows(all))
      }
    }
    return rows
  } finally {
    await temporary.remove()
  }
}

async function prepare(shape: string, folder: string): Promise<Pick<VisitRequest, 'folder' | 'model' | 'prompt'>> {
  const model = await peerModel(shape)
  await writeModelFolder(model, folder)
  const { layers, kvHeads, headDim, vocabSize, contextLength } = model.config
  // The first three ids have a meaning of their own.
  const prompt = (length: number) => Array.from({ length }, (_, i) => 3 + ((i * 7919) % (vocabSize - 3)))
  return { folder, model: { layers, kvHeads, headDim, contextLength: Math.min(CONTEXT, contextLength) }, prompt }
}

async function visitOnce(visits: Visits, request: VisitRequest, progress: (text: string) => void) {
  if (visits.error !== undefined) return
  const { shape, browser, engine, done } = visits
  progress(`${shape} ${browser} ${engine}, round ${done.length + 1} `)
  try {
    const measured = await visit(request)
    done.push(measured)
    progress(`${measured.decodeMs.toFixed(1)} ms a token\n`)
  } catch (error) {
    visits.error = error instanceof Error ? error.message : String(error)
    progress(`failed: ${visits.error}\n`)
  }
}
