import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PageServer, startPageServer } from '../../src/node/page-server.js'

const BYTES = Uint8Array.from({ length: 1000 }, (_, index) => index % 251)
let base: string
let server: PageServer

beforeAll(async () => {
  base = mkdtempSync(path.join(tmpdir(), 'skipstone-server-'))
  mkdirSync(path.join(base, 'model/sub folder'), { recursive: true })
  writeFileSync(path.join(base, 'model/weights.bin'), BYTES)
  writeFileSync(path.join(base, 'model/sub folder/config.json'), '{"a":1}')
  writeFileSync(path.join(base, 'model/empty'), '')
  writeFileSync(path.join(base, 'secret.txt'), 'secret')
  symlinkSync(path.join(base, 'model/weights.bin'), path.join(base, 'model/link.bin'))
  server = await startPageServer({
    files: new Map([['/index.html', { type: 'text/html', body: '<p>ü' }]]),
    folders: new Map([['/model/', path.join(base, 'model')]]),
  })
})

afterAll(async () => {
  await server.close()
  rmSync(base, { recursive: true })
})

const get = (urlPath: string, headers: Record<string, string> = {}) => fetch(server.origin + urlPath, { headers })

/** The status of a request whose path is sent as it is written: `fetch` would tidy it first. */
function rawStatus(options: http.RequestOptions): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(server.origin)
    http
      .get({ hostname, port, ...options }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      .on('error', reject)
  })
}

describe('page server', () => {
  it('serves files from memory and from folders', async () => {
    const page = await get('/index.html?query')
    expect(page.headers.get('content-type')).toBe('text/html')
    expect(await page.text()).toBe('<p>ü')
    const config = await get('/model/sub%20folder/config.json')
    expect(config.headers.get('content-type')).toBe('application/json')
    expect(await config.json()).toEqual({ a: 1 })
    expect(new Uint8Array(await (await get('/model/link.bin')).arrayBuffer())).toEqual(BYTES)
    expect((await get('/model/empty')).headers.get('content-length')).toBe('0')
  })

  it.each([
    ['bytes=0-99', 0, 100],
    ['bytes=900-', 900, 1000],
    ['bytes=990-5000', 990, 1000],
    ['bytes=-10', 990, 1000],
    ['bytes=-5000', 0, 1000],
    ['bytes=999-999', 999, 1000],
  ])('answers %s with that part', async (range, start, end) => {
    const response = await get('/model/weights.bin', { range })
    expect(response.status).toBe(206)
    expect(response.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/1000`)
    expect(response.headers.get('content-length')).toBe(String(end - start))
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(BYTES.slice(start, end))
  })

  it('answers ranges of files in memory', async () => {
    expect(await (await get('/index.html', { range: 'bytes=1-1' })).text()).toBe('p')
  })

  it.each(['bytes=1000-', 'bytes=-0'])('says that %s cannot be had', async (range) => {
    const response = await get('/model/weights.bin', { range })
    expect(response.status).toBe(416)
    expect(response.headers.get('content-range')).toBe('bytes */1000')
  })

  it.each(['bytes=5-4', 'bytes=-', 'lines=1-2', 'bytes=0-1,5-6'])('ignores the range %s', async (range) => {
    const response = await get('/model/weights.bin', { range })
    expect(response.status).toBe(200)
    expect((await response.arrayBuffer()).byteLength).toBe(1000)
  })

  it('answers HEAD without a body and nothing else but GET', async () => {
    const head = await fetch(`${server.origin}/model/weights.bin`, { method: 'HEAD' })
    expect(head.headers.get('content-length')).toBe('1000')
    expect((await fetch(`${server.origin}/model/weights.bin`, { method: 'PUT', body: 'x' })).status).toBe(405)
  })

  it.each([
    '/model/../secret.txt',
    '/model/%2e%2e/secret.txt',
    '/model/sub%20folder/..%2f..%2fsecret.txt',
    '/model/..%5csecret.txt',
    '/model//etc/hostname',
    '/model/%00',
    '/model/%',
    '/model/',
    '/model',
    '/elsewhere',
  ])('does not serve %s', async (urlPath) => {
    expect(await rawStatus({ path: urlPath })).toBe(404)
  })

  it('refuses requests under a foreign host name', async () => {
    expect(await rawStatus({ path: '/index.html', headers: { host: 'evil.example:80' } })).toBe(403)
  })

  it('isolates pages where asked to, and tells what it served', async () => {
    const served: string[] = []
    const files = new Map([['/a.mjs', { type: 'text/javascript', body: '1' }]])
    const other = await startPageServer({ files, isolated: true, onServed: (urlPath) => served.push(urlPath) })
    const response = await fetch(`${other.origin}/a.mjs?query`)
    await fetch(`${other.origin}/b.mjs`)
    await other.close()
    expect(response.headers.get('cross-origin-opener-policy')).toBe('same-origin')
    expect(response.headers.get('cross-origin-embedder-policy')).toBe('require-corp')
    expect(served).toEqual(['/a.mjs'])
    expect((await get('/index.html')).headers.has('cross-origin-embedder-policy')).toBe(false)
  })

  it('closes while a client still holds its connection', async () => {
    const other = await startPageServer({ files: new Map([['/', { type: 'text/plain', body: 'x' }]]) })
    await (await fetch(other.origin)).text()
    await other.close()
    await expect(fetch(other.origin)).rejects.toThrow()
  })
})
