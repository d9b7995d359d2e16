import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { PEBBLE } from '../fixtures/pebble.js'

const FOLDERS = ['.', 'skipgpt-25', 'skipgpt-25/lora', 'skipgpt-40', 'skipgpt-40/lora']

it.each(FOLDERS)('the manifest of Pebble in %s names every file with its size and hash', (below) => {
  const folder = path.join(PEBBLE, below)
  const manifest = JSON.parse(readFileSync(path.join(folder, 'manifest.json'), 'utf8'))
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'manifest.json' && entry.name !== 'README.md')
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/'))
  const files = names.map((name) => {
    const data = readFileSync(path.join(folder, name))
    return { path: name, bytes: data.length, sha256: createHash('sha256').update(data).digest('hex') }
  })
  const byPath = (a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : 1)
  expect(manifest.complete).toBe(true)
  expect(manifest.files.toSorted(byPath)).toEqual(files.sort(byPath))
  expect(files.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(12 * 2 ** 20)
})
