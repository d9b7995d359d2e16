import { readFileSync } from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import { isZip } from '../../src/formats/is-zip.js'
import { readF32 } from '../../src/formats/safetensors.js'
import { normaliseTensorName } from '../../src/formats/tensor-names.js'
import { parseTorch } from '../../src/formats/torch.js'
import { zipMembers } from '../../src/formats/zip.js'
import { readRouters } from '../../src/skip/router-weights.js'
import { hasShared, readShared } from './shared-data.js'

const FOLDER = path.join(import.meta.dirname, '../fixtures/torch')
const file = (name: string): Uint8Array => new Uint8Array(readFileSync(path.join(FOLDER, `${name}.pth`)))
const code = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (error instanceof SkipstoneError) return error.code
    throw error
  }
  return 'none'
}

describe('PyTorch files', () => {
  it('give every tensor of a state dict, of any dtype, at its offset', () => {
    const { entries, data } = parseTorch(file('plain'))
    expect([...entries.values()].map(({ name, dtype, shape }) => [name, dtype, shape])).toEqual([
      ['matrix', 'F32', [2, 3]],
      ['row', 'F32', [3]],
      ['half', 'F16', [2]],
      ['brain', 'BF16', [1]],
      ['scalar', 'F32', []],
      ['empty', 'F32', [0, 4]],
      ['long', 'I64', [2]],
    ])
    const values = (name: string) => Array.from(readF32(entries.get(name)!, data(name)))
    expect(values('matrix')).toEqual([0, 1, 2, 3, 4, 5])
    expect(values('row')).toEqual([3, 4, 5])
    expect(values('half')).toEqual([0.5, -2])
    expect(values('brain')).toEqual([1.5])
    expect(values('scalar')).toEqual([7])
    expect(values('empty')).toEqual([])
  })

  it('may wrap the state dict, and hold parameters', () => {
    const nested = parseTorch(file('nested'))
    expect([...nested.entries.keys()]).toEqual(['weight', 'bias'])
    expect(Array.from(readF32(nested.entries.get('weight')!, nested.data('weight')))).toEqual([3, 3])
    expect([...parseTorch(file('parameter')).entries.keys()]).toEqual(['p'])
  })

  it.each([
    ['strided', 'unsupported'],
    ['module', 'unsupported'],
    ['list', 'bad-file'],
  ])('%s: %s', (name, expected) => {
    expect(code(() => parseTorch(file(name)))).toBe(expected)
  })

  it('of the old format are no archives', () => {
    expect(isZip(file('legacy'))).toBe(false)
    expect(code(() => parseTorch(file('legacy')))).toBe('bad-file')
  })

  it('never run what the pickle asks for', () => {
    const bytes = file('parameter')
    const [, { start, end }] = [...zipMembers(bytes)].find(([name]) => name.endsWith('data.pkl'))!
    const text = new TextEncoder().encode('cos\nsystem\n(X\x02\x00\x00\x00lstR.')
    const evil = bytes.slice()
    evil.set(text.subarray(0, end - start), start)
    expect(code(() => parseTorch(evil))).toBe('unsupported')
  })

  it('that are damaged give a typed error, and nothing else', () => {
    const names = ['plain', 'nested', 'parameter', 'module'] as const
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.option(fc.nat()),
        (name, changes, cut) => {
          const bytes = file(name).slice()
          for (const [at, value] of changes) bytes[at % bytes.length] = value
          const whole = cut === null ? bytes : bytes.subarray(0, cut % bytes.length)
          // Whatever is still read lies inside the file.
          const run = () => {
            const { entries, data } = parseTorch(whole)
            for (const [key, { start, end }] of entries) expect(data(key).byteLength).toBe(end - start)
          }
          expect(['none', 'bad-file', 'unsupported']).toContain(code(run))
        },
      ),
      { numRuns: 3000 },
    )
  })

  describe.skipIf(!hasShared)('of the published routers', () => {
    const read = (name: string) => {
      const { entries, data } = parseTorch(readShared(`models/skipgpt-routers-4096x32/${name}`))
      return [...entries.values()].map(
        (entry) => [entry.name, { shape: entry.shape, data: readF32(entry, data(entry.name)) }] as const,
      )
    }

    it('hold 32 linear routers of each kind, the same in both stages', () => {
      const stages = ['stage1-router.pth', 'stage2-router.pth'].map(read)
      expect(stages.map((tensors) => tensors.length)).toEqual([128, 128])
      const [one, two] = stages.map((tensors) => new Map(tensors.map(([name, t]) => [normaliseTensorName(name), t])))
      expect(two).toEqual(one)
      const routers = readRouters(stages[1]!, 4096, 32)
      expect(routers.kind).toBe('linear')
      expect(routers.attention.length + routers.mlp.length).toBe(64)
      // docs/skipgpt.md: layer 1's MLP is the one router that is biased towards skipping, by 1.755.
      expect(routers.mlp.map(({ bias }) => bias).filter((bias) => bias < 0)).toEqual([expect.closeTo(-1.755, 3)])
      expect(routers.attention.every(({ bias }) => bias > 0)).toBe(true)
    })
  })
})
