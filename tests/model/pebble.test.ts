import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { PEBBLE } from '../fixtures/pebble.js'

it('the manifest of Pebble names every file with its size and hash', () => {
  const manifest = JSON.parse(readFileSync(path.join(PEBBLE, 'manifest.json'), 'utf8'))
  const names = readdirSync(PEBBLE, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(PEBBLE, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/'))
    .filter((name) => name !== 'manifest.json' && name !== 'README.md')
  const files = names.map((name) => {
    const data = readFileSync(path.join(PEBBLE, name))
    return { path: name, bytes: data.length, sha256: createHash('sha256').update(data).digest('hex') }
  })
  const byPath = (a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : 1)
  expect(manifest.files.toSorted(byPath)).toEqual(files.sort(byPath))
  expect(files.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(12 * 2 ** 20)
})
