import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Rooms that may import those further down; rooms on one line do not import each other (see the design, section 1). */
const LEVELS = [
  ['worker', 'node', 'inspector'],
  ['index.ts'],
  ['sdk'],
  ['study', 'tuning'],
  ['runtime'],
  ['skip', 'model'],
  ['kernels'],
  ['gpu'],
]
/** Leaves: anyone may import them, they import nothing but leaves. */
const LEAVES = ['shaders', 'formats', 'storage', 'text', 'grammar', 'errors.ts']

interface Module {
  readonly file: string
  readonly room: string
  readonly imports: readonly string[]
}

function sourceFiles(folder: string): string[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.m?ts$/.test(entry.name) && !/\.d\.m?ts$/.test(entry.name))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
}

/** The room of a file in src/ or shaders/: the first folder below src, or the file itself. */
function roomOf(file: string): string {
  const parts = file.split(path.sep)
  return parts[0] === 'src' ? (parts[1] as string) : (parts[0] as string)
}

function readModule(file: string): Module {
  const text = readFileSync(path.join(root, file), 'utf8')
  const relative = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((m) => m[1] as string)
  const imports = relative.map((target) => {
    const joined = path.normalize(path.join(path.dirname(file), target))
    return joined.replace(/\.js$/, '.ts')
  })
  return { file, room: roomOf(file), imports }
}

const modules = [...sourceFiles('src'), ...sourceFiles('shaders')].map(readModule)
const byFile = new Map(modules.map((m) => [m.file, m]))

function allowed(from: string, to: string): boolean {
  if (from === to || LEAVES.includes(to)) return true
  if (LEAVES.includes(from)) return false
  const level = (room: string) => LEVELS.findIndex((rooms) => rooms.includes(room))
  // The package's surface is nobody's dependency, and neither is the command line.
  return level(to) > level(from)
}

test('there are modules to look at, each in a known room', () => {
  expect(modules.length).toBeGreaterThan(80)
  const rooms = new Set([...LEVELS.flat(), ...LEAVES])
  expect(modules.filter((m) => !rooms.has(m.room)).map((m) => m.file)).toEqual([])
})

test('imports run downwards only', () => {
  const wrong = modules.flatMap((m) =>
    m.imports.filter((target) => !allowed(m.room, roomOf(target))).map((target) => `${m.file} imports ${target}`),
  )
  expect(wrong).toEqual([])
})

test('there are no import cycles, types included', () => {
  const state = new Map<string, 'open' | 'done'>()
  const cycles: string[] = []
  const visit = (file: string, trail: readonly string[]): void => {
    if (state.get(file) === 'done') return
    if (state.get(file) === 'open') {
      cycles.push([...trail.slice(trail.indexOf(file)), file].join(' -> '))
      return
    }
    state.set(file, 'open')
    for (const target of byFile.get(file)?.imports ?? []) if (byFile.has(target)) visit(target, [...trail, file])
    state.set(file, 'done')
  }
  for (const { file } of modules) visit(file, [])
  expect(cycles).toEqual([])
})

/** What the package exports. */
const PUBLIC = ['src/index.ts', 'src/worker/index.ts', 'src/inspector/index.ts'].map((file) => path.normalize(file))

test('the demo sees only the public surface', () => {
  const wrong = sourceFiles('demo')
    .map(readModule)
    .flatMap((m) => m.imports.filter((target) => target.startsWith('src') && !PUBLIC.includes(target)))
  expect(wrong).toEqual([])
})

test('the inspector sees types of the public surface and errors, nothing of the engine', () => {
  const wrong = sourceFiles('src/inspector').flatMap((file) =>
    [...readFileSync(path.join(root, file), 'utf8').matchAll(/^(?:import|export)(.*?)from '(\.\.\/[^']+)'/gms)]
      .filter(
        ([, what = '', target]) => target !== '../errors.js' && !(target === '../index.js' && /^ type\b/.test(what)),
      )
      .map(([, , target]) => `${file} imports ${target}`),
  )
  expect(wrong).toEqual([])
})

test('grammars are loaded by those who use one: one file imports them, and is imported by nobody before', () => {
  const importing = (what: RegExp) =>
    sourceFiles('src')
      .filter((file) => roomOf(file) !== 'grammar')
      .filter((file) => {
        const imports = readFileSync(path.join(root, file), 'utf8').matchAll(
          /^(?:import|export) (?!type)[^'(]*'([^']*)'/gm,
        )
        return [...imports].some(([, from]) => what.test(from as string))
      })
  expect(importing(/\/grammar\//)).toEqual(['src/sdk/format-constraint.ts'])
  expect(importing(/format-constraint/)).toEqual([])
})
