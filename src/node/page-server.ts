import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** A file that is served from memory. */
export interface PageFile {
  readonly type: string
  readonly body: string | Uint8Array
}

export interface PageServerOptions {
  /** By URL path, for example `/index.html`. */
  readonly files?: ReadonlyMap<string, PageFile>
  /** Folders by URL prefix that begins and ends with a slash, for example `/model/`. They are only read. */
  readonly folders?: ReadonlyMap<string, string>
  /** Answers with the headers that let pages share memory between threads. */
  readonly isolated?: boolean
  /** Hears the URL path of every file that is asked for and there. */
  readonly onServed?: (urlPath: string) => void
}

export interface PageServer {
  /** For example `http://127.0.0.1:40123`, without a slash at the end. */
  readonly origin: string
  close(): Promise<void>
}

/**
 * Serves pages and model files to a browser on this machine, on a free port of the loopback address. Byte ranges work as
 * a model download needs them. Symbolic links inside a folder are followed, because model caches consist of them.
 */
export async function startPageServer(options: PageServerOptions): Promise<PageServer> {
  const server = createServer((request, response) => {
    answer(options, request, response).catch((error: unknown) => {
      // A reader that went away in the middle is not an error of ours; anything else ends this answer only.
      response.destroy(error instanceof Error ? error : undefined)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Something that can be served: its size is known and any part of it can be read. */
interface Content {
  readonly type: string
  readonly size: number
  read(start: number, end: number): Readable
}

async function answer(options: PageServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  // Another site's page can reach this port under a name of its own; it must not read a user's files that way.
  if (!/^(127\.0\.0\.1|localhost):\d+$/.test(request.headers.host ?? '')) return refuse(response, 403)
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405)
  const urlPath = decodedPath(request.url ?? '/')
  const content = urlPath === undefined ? undefined : await find(options, urlPath)
  if (urlPath === undefined || content === undefined) return refuse(response, 404)
  options.onServed?.(urlPath)

  const range = parseRange(request.headers.range, content.size)
  response.setHeader('content-type', content.type)
  response.setHeader('accept-ranges', 'bytes')
  response.setHeader('cache-control', 'no-store')
  if (options.isolated) {
    response.setHeader('cross-origin-opener-policy', 'same-origin')
    response.setHeader('cross-origin-embedder-policy', 'require-corp')
  }
  if (range === 'unsatisfiable') {
    response.setHeader('content-range', `bytes */${content.size}`)
    return refuse(response, 416)
  }
  const { start, end } = range ?? { start: 0, end: content.size }
  if (range !== undefined) {
    response.statusCode = 206
    response.setHeader('content-range', `bytes ${start}-${end - 1}/${content.size}`)
  }
  response.setHeader('content-length', end - start)
  if (request.method === 'HEAD' || start === end) response.end()
  else await pipeline(content.read(start, end), response)
}

function refuse(response: ServerResponse, status: number): void {
  response.statusCode = status
  response.end()
}

async function find({ files, folders }: PageServerOptions, urlPath: string): Promise<Content | undefined> {
  const file = files?.get(urlPath)
  if (file !== undefined) return fromMemory(file)
  for (const [prefix, folder] of folders ?? []) {
    if (urlPath.startsWith(prefix)) return fromFolder(folder, urlPath.slice(prefix.length))
  }
  return undefined
}

/** The path of a request without its query; undefined where it cannot be one. */
function decodedPath(url: string): string | undefined {
  try {
    return decodeURIComponent(url.replace(/[?#].*$/, ''))
  } catch {
    return undefined
  }
}

function fromMemory(file: PageFile): Content {
  const body = Buffer.from(file.body)
  return {
    type: file.type,
    size: body.length,
    read: (start, end) => Readable.from([body.subarray(start, end)]),
  }
}

async function fromFolder(folder: string, relative: string): Promise<Content | undefined> {
  if (leavesFolder(relative)) return undefined
  const file = path.join(folder, relative)
  const found = await stat(file).catch(() => undefined)
  if (!found?.isFile()) return undefined
  return {
    type: CONTENT_TYPES[path.extname(file)] ?? 'application/octet-stream',
    size: found.size,
    read: (start, end) => createReadStream(file, { start, end: end - 1 }),
  }
}

/** Whether a decoded relative path could name something outside its folder, on any platform. */
function leavesFolder(relative: string): boolean {
  return /[\\\0:]/.test(relative) || relative.startsWith('/') || relative.split('/').includes('..')
}

const CONTENT_TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
}

/**
 * The byte range that a Range header asks for, its end exclusive. Undefined means the whole: no header, a form that HTTP
 * lets a server ignore, or several ranges at once.
 */
function parseRange(
  header: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '')
  if (match === null) return undefined
  const [, first = '', last = ''] = match
  if (first === '') {
    if (last === '') return undefined
    return size === 0 || Number(last) === 0 ? 'unsatisfiable' : { start: Math.max(0, size - Number(last)), end: size }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return undefined
  if (start >= size) return 'unsatisfiable'
  return { start, end: last === '' ? size : Math.min(Number(last) + 1, size) }
}
