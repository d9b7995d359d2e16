import { readFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { SkipstoneError } from '../../src/errors.js'
import { type BrowserBackend, type BrowserPage, openPage } from '../../src/node/browser-page.js'
import { type PageFile, startPageServer } from '../../src/node/page-server.js'
import { PEERS_FOLDER } from './install.js'
import { MemoryWatch } from './memory.js'
import type { GenerateRequest, GenerateTiming, PageModel } from './pages/host.js'

/** Prompt lengths, the first of which decode follows on. */
export const PROMPTS = [64, 256, 512] as const
export const DECODED = 64

/** What one visit measures. */
export interface Visit {
  /** From nothing to an engine that takes prompts, milliseconds. */
  readonly loadMs: number
  /** From nothing to the first token after a prompt of 64. */
  readonly firstTokenMs: number
  /** From a prompt's beginning to the token that follows it, by prompt length. Warm, but for lengths that take longer than 20 seconds. */
  readonly prefillMs: Readonly<Record<number, number>>
  /** Of one token, over 64 that follow on a prompt of 64; over 8 where a token takes more than 2.5 seconds. */
  readonly decodeMs: number
  /** What followed on the prompt of 64. */
  readonly ids: readonly number[]
  /** Of JavaScript and wasm that the page fetched, each file compressed with gzip. */
  readonly codeBytes: number
  /** Of all processes of the browser together, at its peak. */
  readonly memoryBytes: number | undefined
}

export interface VisitRequest {
  readonly browser: BrowserBackend
  /** The engine's page, by URL path. */
  readonly page: ReadonlyMap<string, PageFile>
  /** The model in every engine's form. */
  readonly folder: string
  readonly model: Omit<PageModel, 'url'>
  readonly prompt: (length: number) => number[]
}

/** For an engine that takes more than some seconds for a token. */
const DECODED_WHEN_SLOW = 8
/** Tokens of the first answer, after which decoding is warm. */
const WARMING = 5
/** What takes longer than this is not repeated: compiling is a small part of it. */
const SLOW_MS = 20_000
/** A page that has not answered by then is taken for one that never will. */
const PATIENCE_MS = 600_000

/** Opens a browser of its own for one engine, measures, and closes it. */
export async function visit(request: VisitRequest): Promise<Visit> {
  const served = new Set<string>()
  const server = await startPageServer({
    files: request.page,
    folders: new Map([
      ['/model/', request.folder],
      ['/peers/', PEERS_FOLDER],
    ]),
    isolated: true,
    onServed: (urlPath) => served.add(urlPath),
  })
  const memory = new MemoryWatch()
  try {
    const page = await openPage(request.browser, `${server.origin}/`, { adapter: 'auto' })
    let late: SkipstoneError | undefined
    const deadline = setTimeout(() => {
      late = new SkipstoneError('internal', `It was not done after ${PATIENCE_MS / 1000} seconds.`)
      page.close()
    }, PATIENCE_MS)
    try {
      const measured = await measure(page, request)
      return { ...measured, codeBytes: codeBytes(served, request.page), memoryBytes: memory.stop() }
    } catch (error) {
      throw late ?? error
    } finally {
      clearTimeout(deadline)
      await page.close()
    }
  } finally {
    memory.stop()
    await server.close()
  }
}

async function measure(page: BrowserPage, { model, prompt }: VisitRequest) {
  const generate = (length: number, count: number) => {
    const request: GenerateRequest = { prompt: prompt(length), count }
    return page.evaluate<GenerateTiming>('generate', request)
  }
  const loadMs = await page.evaluate<number>('load', { ...model, url: '/model/' } satisfies PageModel)
  const lengths = PROMPTS.filter((one) => one < model.contextLength)
  // The first of its kind compiles.
  const start = await generate(PROMPTS[0], WARMING)
  const prefillMs: Record<number, number> = {}
  for (const length of lengths) {
    const cold = length === PROMPTS[0] ? 0 : (await generate(length, 1)).firstMs
    prefillMs[length] = cold > SLOW_MS ? cold : (await generate(length, 1)).firstMs
  }
  const isSlow = start.restMs > SLOW_MS / 2
  const steps = isSlow ? DECODED_WHEN_SLOW : DECODED
  const { restMs, ids } = await generate(PROMPTS[0], steps + 1)
  return { loadMs, firstTokenMs: loadMs + start.firstMs, prefillMs, decodeMs: restMs / steps, ids }
}

function codeBytes(served: ReadonlySet<string>, page: ReadonlyMap<string, PageFile>): number {
  const code = [...served].filter((urlPath) => /\.(m?js|wasm)$/.test(urlPath))
  return code.reduce((sum, urlPath) => sum + compressedBytes(urlPath, page), 0)
}

const compressed = new Map<string, number>()

function compressedBytes(urlPath: string, page: ReadonlyMap<string, PageFile>): number {
  const known = compressed.get(urlPath)
  if (known !== undefined) return known
  const file = page.get(urlPath)?.body ?? readFileSync(path.join(PEERS_FOLDER, urlPath.slice('/peers/'.length)))
  const bytes = gzipSync(file, { level: 9 }).byteLength
  compressed.set(urlPath, bytes)
  return bytes
}
