import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { readJson } from '../../src/storage/source.js'
import { UrlSource } from '../../src/storage/url-source.js'

const CONTENT = Uint8Array.from({ length: 1000 }, (_, i) => (i * 31) & 0xff)

let server: Server | undefined
let requests: string[] = []

afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

/** A source over a server that answers with `handle`; `requests` lists what was asked. */
async function serve(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<UrlSource> {
  requests = []
  server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.range ?? 'whole'}`)
    handle(request, response)
  })
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
  return new UrlSource(`http://127.0.0.1:${(server.address() as AddressInfo).port}/models/tiny`)
}

/** What a good file server does with `content`. */
function withRanges(content: Uint8Array, { hideRange = false } = {}) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    if (!range) {
      response.writeHead(200, { 'content-length': content.length }).end(content)
      return
    }
    const start = Number(range[1])
    const end = Math.min(Number(range[2]) + 1, content.length)
    if (start >= content.length) {
      response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end()
      return
    }
    const headers = hideRange ? {} : { 'content-range': `bytes ${start}-${end - 1}/${content.length}` }
    response.writeHead(206, headers).end(content.subarray(start, end))
  }
}

const failsWith = (code: string): object => expect.objectContaining({ name: 'SkipstoneError', code })

describe('a server with ranges', () => {
  it('is asked for exactly the bytes that are wanted', async () => {
    const source = await serve(withRanges(CONTENT))
    expect(await source.read('w.bin', { start: 10, end: 30 })).toEqual(CONTENT.slice(10, 30))
    expect(requests).toEqual(['GET /models/tiny/w.bin bytes=10-29'])
  })

  it('tells presence and size for the price of one byte', async () => {
    const source = await serve(withRanges(CONTENT))
    expect(await source.has('w.bin')).toBe(true)
    expect(await source.size('w.bin')).toBe(1000)
    expect(new Set(requests)).toEqual(new Set(['GET /models/tiny/w.bin bytes=0-0']))
  })

  it('sends whole files where no range is given', async () => {
    const source = await serve(withRanges(CONTENT))
    expect(await source.read('w.bin')).toEqual(CONTENT)
    expect(requests).toEqual(['GET /models/tiny/w.bin whole'])
  })

  it('reports a range past the end', async () => {
    const source = await serve(withRanges(CONTENT))
    await expect(source.read('w.bin', { start: 990, end: 1010 })).rejects.toEqual(failsWith('bad-file'))
    await expect(source.read('w.bin', { start: 2000, end: 2010 })).rejects.toEqual(failsWith('bad-file'))
  })

  it('may hold empty files, and be asked for nothing', async () => {
    const source = await serve(withRanges(new Uint8Array()))
    expect(await source.has('empty')).toBe(true)
    expect(await source.size('empty')).toBe(0)
    requests = []
    expect(await source.read('empty', { start: 0, end: 0 })).toEqual(new Uint8Array())
    expect(requests).toEqual([])
  })

  it('may hide Content-Range, as other origins do unless told otherwise', async () => {
    const source = await serve(withRanges(CONTENT, { hideRange: true }))
    expect(await source.size('w.bin')).toBe(1000)
    expect(requests.at(-1)).toBe('HEAD /models/tiny/w.bin whole')
  })

  it('is asked for odd names and with the query of the base', async () => {
    await serve(withRanges(CONTENT))
    const { port } = server!.address() as AddressInfo
    const source = new UrlSource(`http://127.0.0.1:${port}/a/?key=1#top`)
    await source.read('lora/my file?.bin')
    expect(requests).toEqual(['GET /a/lora/my%20file%3F.bin?key=1 whole'])
    expect(source.description).toBe(`http://127.0.0.1:${port}/a/`)
  })
})

describe('a server without ranges', () => {
  const whole = (_request: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(200).end(CONTENT)
  }

  it('is asked once for the file, which is then sliced', async () => {
    const source = await serve(whole)
    expect(await source.read('w.bin', { start: 0, end: 8 })).toEqual(CONTENT.slice(0, 8))
    expect(await source.read('w.bin', { start: 900, end: 1000 })).toEqual(CONTENT.slice(900))
    expect(await source.size('w.bin')).toBe(1000)
    expect(await source.has('w.bin')).toBe(true)
    expect(await source.read('w.bin')).toEqual(CONTENT)
    expect(requests).toHaveLength(1)
    await expect(source.read('w.bin', { start: 999, end: 1001 })).rejects.toEqual(failsWith('bad-file'))
  })

  it('tells the size by sending the file', async () => {
    const source = await serve(whole)
    expect(await source.size('w.bin')).toBe(1000)
    expect(await source.read('w.bin', { start: 5, end: 6 })).toEqual(CONTENT.slice(5, 6))
    expect(requests).toHaveLength(1)
  })
})

describe('the files of a browser extension', () => {
  afterEach(() => vi.unstubAllGlobals())

  it('are asked for whole, and may be missing', async () => {
    // As Chromium answers: a part looks like a whole file, and what is missing like a lost network.
    const ask = vi.fn(async (url: URL, { headers }: { headers: Record<string, string> }) => {
      if (!url.pathname.endsWith('w.bin')) throw new TypeError('Failed to fetch')
      return new Response(headers.range ? CONTENT.slice(0, 1) : CONTENT)
    })
    vi.stubGlobal('fetch', ask)
    const source = new UrlSource('chrome-extension://abc/model/')
    expect(await source.has('other.bin')).toBe(false)
    await expect(source.read('other.bin')).rejects.toEqual(failsWith('not-found'))
    expect(await source.read('w.bin', { start: 900, end: 1000 })).toEqual(CONTENT.slice(900))
    expect(await source.size('w.bin')).toBe(1000)
    expect(ask).toHaveBeenCalledTimes(3)
  })
})

describe('what is not there', () => {
  it('404 is not-found', async () => {
    const source = await serve((_request, response) => response.writeHead(404).end('no'))
    expect(await source.has('config.json')).toBe(false)
    await expect(source.read('config.json')).rejects.toEqual(failsWith('not-found'))
    await expect(source.size('config.json')).rejects.toEqual(failsWith('not-found'))
    await expect(source.read('config.json')).rejects.toThrow('config.json')
  })

  it('an HTML page in place of a file is not-found', async () => {
    const source = await serve((_request, response) =>
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<!doctype html>'),
    )
    expect(await source.has('config.json')).toBe(false)
    expect(await source.has('notes.html')).toBe(true)
    await expect(readJson(source, 'config.json')).rejects.toEqual(failsWith('not-found'))
  })

  it('other statuses and lost connections are network', async () => {
    const source = await serve((request, response) => {
      if (request.url?.endsWith('forbidden')) response.writeHead(403).end()
      else if (request.url?.endsWith('cut'))
        response.writeHead(200, { 'content-length': 100 }).write('abc', () => response.destroy())
      else response.destroy()
    })
    await expect(source.has('forbidden')).rejects.toEqual(failsWith('network'))
    await expect(source.read('forbidden')).rejects.toThrow('403')
    await expect(source.read('cut')).rejects.toEqual(failsWith('network'))
    await expect(source.read('gone')).rejects.toEqual(failsWith('network'))
  })

  it('a base that is no URL is bad-option', () => {
    expect(() => new UrlSource('models/tiny')).toThrow(expect.objectContaining({ code: 'bad-option' }))
  })
})

describe('abort', () => {
  it('before the request, while waiting for it, and inside the body', async () => {
    const source = await serve((request, response) => {
      if (request.url?.endsWith('slow-body')) response.writeHead(200, { 'content-length': 100 }).write('abc')
    })
    await expect(source.read('any', undefined, AbortSignal.abort())).rejects.toEqual(failsWith('aborted'))
    await expect(source.has('any', AbortSignal.abort())).rejects.toEqual(failsWith('aborted'))
    expect(requests).toHaveLength(0)
    for (const name of ['never', 'slow-body']) {
      const abort = new AbortController()
      const reading = source.read(name, undefined, abort.signal)
      setTimeout(() => abort.abort('stop'), 50)
      await expect(reading).rejects.toMatchObject({ code: 'aborted', cause: 'stop' })
    }
  })
})

describe('readJson', () => {
  it('parses, and names a file that is not JSON', async () => {
    const source = await serve((request, response) =>
      response.end(request.url?.endsWith('good.json') ? '\ufeff{"a":1}' : '{"a":'),
    )
    expect(await readJson(source, 'good.json')).toEqual({ a: 1 })
    await expect(readJson(source, 'bad.json')).rejects.toEqual(failsWith('bad-file'))
    await expect(readJson(source, 'bad.json')).rejects.toThrow('bad.json')
  })
})
