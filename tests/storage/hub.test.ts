import { afterEach, beforeEach, expect, it } from 'vitest'
import { HttpFolder } from '../../src/storage/http-folder.js'
import { hubModel, parseHubName } from '../../src/storage/hub.js'
import { fromManifest, fromPointers } from '../../src/storage/published.js'
import { readJson } from '../../src/storage/source.js'
import { UrlSource } from '../../src/storage/url-source.js'
import { FileServer } from '../fixtures/file-server.js'

const HASH = 'ab'.repeat(32)
let server: FileServer
let base: string

beforeEach(async () => {
  server = new FileServer()
  base = await server.start()
})
afterEach(() => server.stop())

it.each([
  ['owner/name', { repository: 'owner/name', revision: 'main' }],
  ['Qwen/Qwen3-0.6B@v1.0', { repository: 'Qwen/Qwen3-0.6B', revision: 'v1.0' }],
  ['a/b@refs/pr/3', { repository: 'a/b', revision: 'refs/pr/3' }],
])('%s is a model on a hub', (text, expected) => expect(parseHubName(text)).toEqual(expected))

it.each(['./models/pebble', '/a/b', 'a/b/', 'a/b/c', 'https://host/a', 'name', '../a/b', 'a/b@', 'a b/c'])(
  '%s is none',
  (text) => expect(parseHubName(text)).toBeUndefined(),
)

it('lies at the endpoint, and never changes where the revision is a commit', () => {
  const name = { repository: 'a/b', revision: 'refs/pr/3' }
  expect(hubModel(name)).toEqual({
    files: 'https://huggingface.co/a/b/resolve/refs%2Fpr%2F3/',
    pointers: 'https://huggingface.co/a/b/raw/refs%2Fpr%2F3/',
    immutable: false,
  })
  const commit = { repository: 'a/b', revision: '0123456789'.repeat(4) }
  expect(hubModel(commit, { endpoint: 'http://mirror.local/hub/' })).toMatchObject({
    files: `http://mirror.local/hub/a/b/resolve/${commit.revision}/`,
    immutable: true,
  })
  expect(() => hubModel(name, { endpoint: 'mirror' })).toThrow(expect.objectContaining({ code: 'bad-option' }))
})

it('tells the hash of a large file by its pointer, and of others nothing', async () => {
  server.files.set('model.safetensors', Buffer.from(`version https://x\noid sha256:${HASH}\nsize 12\n`))
  server.files.set('config.json', Buffer.from('{}'))
  const hashes = fromPointers(new HttpFolder(base))
  expect(await hashes.hash('model.safetensors', undefined)).toBe(HASH)
  expect(await hashes.hash('config.json', undefined)).toBeUndefined()
  expect(await hashes.hash('absent', undefined)).toBeUndefined()
})

it.each([
  ['no JSON', 'files'],
  ['something else', '[1]'],
  ['no hashes', '{"files":[{"path":"w.bin","sha256":"short"},3]}'],
])('a manifest with %s publishes nothing', async (_, text) => {
  server.files.set('manifest.json', Buffer.from(text))
  expect(await fromManifest(new HttpFolder(base)).hash('w.bin', undefined)).toBeUndefined()
})

it('says that a page is no JSON', async () => {
  server.files.set('config.json', Buffer.from('<!doctype html><title>Sign in</title>'))
  await expect(readJson(new UrlSource(base), 'config.json')).rejects.toThrow(/web page/)
})
