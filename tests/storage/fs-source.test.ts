import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DirectorySource } from '../../src/node/fs-source.js'
import { readJson } from '../../src/storage/source.js'

const failsWith = (code: string): object => expect.objectContaining({ name: 'SkipstoneError', code })

let directory: string
let source: DirectorySource

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'skipstone-'))
  await writeFile(
    join(directory, 'a.bin'),
    Uint8Array.from({ length: 100 }, (_, i) => i),
  )
  await writeFile(join(directory, 'empty'), '')
  await writeFile(join(directory, 'bad.json'), Uint8Array.from([0x22, 0xff, 0x22]))
  await mkdir(join(directory, 'lora'))
  await writeFile(join(directory, 'lora', 'c.json'), '{"r":16}')
  source = new DirectorySource(directory)
})

afterAll(() => rm(directory, { recursive: true }))

describe('DirectorySource', () => {
  it('reads files and ranges of them', async () => {
    expect(await source.size('a.bin')).toBe(100)
    expect(await source.read('a.bin')).toHaveLength(100)
    expect([...(await source.read('a.bin', { start: 97, end: 100 }))]).toEqual([97, 98, 99])
    expect(await source.read('a.bin', { start: 50, end: 50 })).toHaveLength(0)
    expect(await source.read('empty')).toHaveLength(0)
    expect(await readJson(source, 'lora/c.json')).toEqual({ r: 16 })
    expect(source.description).toBe(directory)
  })

  it('does not take a folder for a file', async () => {
    expect(await source.has('a.bin')).toBe(true)
    expect(await source.has('lora')).toBe(false)
    expect(await source.has('b.bin')).toBe(false)
    await expect(source.read('lora')).rejects.toEqual(failsWith('not-found'))
    await expect(source.size('b.bin')).rejects.toEqual(failsWith('not-found'))
    expect(await new DirectorySource(join(directory, 'none')).has('a.bin')).toBe(false)
  })

  it('reports ranges past the end before it allocates them', async () => {
    await expect(source.read('a.bin', { start: 0, end: 2 ** 52 })).rejects.toEqual(failsWith('bad-file'))
  })

  it('reports JSON that is not UTF-8, and aborts', async () => {
    await expect(readJson(source, 'bad.json')).rejects.toEqual(failsWith('bad-file'))
    await expect(source.read('a.bin', undefined, AbortSignal.abort())).rejects.toEqual(failsWith('aborted'))
    await expect(source.has('a.bin', AbortSignal.abort())).rejects.toEqual(failsWith('aborted'))
  })
})
