import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { publint } from 'publint'
import { build, type Rolldown } from 'vite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findDriverManifest } from '../../src/node/adapters.js'

// The package as npm would publish it: packed, unpacked into an application, and used from there.

const ROOT = path.join(import.meta.dirname, '../..')
const KIB = 1024

let temporary: string
let app: string
let tarball: string
const bin = (name: string) => path.join(ROOT, 'node_modules/.bin', name)

beforeAll(() => {
  // Not its link: bundlers tell modules of the application from others by their real paths.
  temporary = realpathSync(mkdtempSync(path.join(tmpdir(), 'skipstone-package-')))
  execFileSync(process.execPath, ['tools/build.mjs'], { cwd: ROOT, stdio: 'pipe' })
  const packed = execFileSync('npm', ['pack', '--json', '--silent', '--pack-destination', temporary], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }]
  tarball = path.join(temporary, filename)
  execFileSync('tar', ['-xzf', tarball, '-C', temporary])
  app = path.join(temporary, 'app')
  const modules = path.join(app, 'node_modules')
  mkdirSync(modules, { recursive: true })
  execFileSync('mv', [path.join(temporary, 'package'), path.join(modules, 'skipstone')])
  const { dependencies } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  for (const name of [...Object.keys(dependencies), 'webgpu']) {
    mkdirSync(path.dirname(path.join(modules, name)), { recursive: true })
    symlinkSync(realpathSync(path.join(ROOT, 'node_modules', name)), path.join(modules, name))
  }
  writeFileSync(path.join(app, 'package.json'), '{ "type": "module" }')
}, 120_000)
afterAll(() => temporary && rmSync(temporary, { recursive: true }))

describe('the package', () => {
  it('has nothing that publint objects to', async () => {
    const { messages } = await publint({ pkgDir: path.join(app, 'node_modules/skipstone'), strict: true })
    expect(messages).toEqual([])
  })

  it('has types that are found wherever modules are resolved', () => {
    // It throws where attw finds a problem, with its table.
    execFileSync(bin('attw'), [tarball, '--profile', 'esm-only', '--no-emoji', '--no-color'], { stdio: 'pipe' })
  })

  it('has types that an application compiles with, under strict options', () => {
    const source = `
      import { loadModel, skipgpt, SkipstoneError, type Model, type Session } from 'skipstone'
      import { loadModel as loadInWorker } from 'skipstone/worker'
      import { serveModels } from 'skipstone/serve'
      import { SkipInspector } from 'skipstone/inspector'
      const model: Model = await loadInWorker('./model/', { dtype: 'q4' })
      const other: Model = await loadModel(new URL('https://example.org/model/'))
      const session: Session = model.createSession({ policy: skipgpt({ budget: 0.4 }) })
      for await (const step of session.generate('x')) if (step.kind === 'token') step.executed.length.toFixed()
      const inspector: SkipInspector = document.createElement('skip-inspector')
      for await (const step of inspector.watch(session.generate('x'), { layers: model.config.layers })) step.text.at(0)
      // @ts-expect-error: no such option
      session.generate('x', { temprature: 1 })
      export { other, serveModels, SkipstoneError }
    `
    writeFileSync(path.join(app, 'use.ts'), source)
    writeFileSync(
      path.join(app, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          target: 'es2022',
          module: 'nodenext',
          lib: ['es2023', 'esnext.disposable', 'dom', 'dom.iterable', 'dom.asynciterable'],
          types: [],
        },
        files: ['use.ts'],
      }),
    )
    const { stdout } = spawnSync(bin('tsc'), ['-p', '.'], { cwd: app, encoding: 'utf8' })
    // Types of dependencies are not ours.
    expect(stdout.split('\n').filter((line) => /^(use|node_modules\/skipstone)/.test(line))).toEqual([])
  })

  it('documents every name that it exports', () => {
    const reference = readFileSync(path.join(app, 'node_modules/skipstone/dist/API.md'), 'utf8')
    for (const name of ['loadModel', 'Session', 'serveModels', 'SkipstoneError']) {
      expect(reference).toMatch(new RegExp(`### \`${name}\`\n\n[A-Z]`))
    }
    const functions = [...reference.matchAll(/### `([a-z]\w*)`\n\n(?!```)/g)].map(([, name]) => name)
    const all = [...reference.matchAll(/### `([a-z]\w*)`/g)].map(([, name]) => name)
    expect(
      all.filter((name) => !functions.includes(name)),
      'functions without a docstring',
    ).toEqual([])
  })

  it.skipIf(findDriverManifest('lavapipe') === undefined && !process.env.CI)(
    'generates text in Node',
    () => {
      const generate = [
        'node_modules/skipstone/dist/cli.js',
        'generate',
        '--prompt',
        'The',
        '--max-tokens',
        '3',
        '--json',
      ]
      const printed = execFileSync(process.execPath, generate, { cwd: app, encoding: 'utf8', stdio: 'pipe' })
      expect(JSON.parse(printed)).toMatchObject({ finishReason: 'length', policy: 'dense' })
      const script = `
      const { ERROR_CODES } = await import('skipstone')
      const { loadModel } = await import('skipstone/worker')
      const { serveModels } = await import('skipstone/serve')
      const { SkipInspector } = await import('skipstone/inspector')
      const error = await loadModel('https://example.org/').catch((error) => error)
      console.log(ERROR_CODES.includes(error.code), error.code, typeof serveModels, typeof SkipInspector)`
      const words = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
        cwd: app,
        encoding: 'utf8',
      })
      expect(words.trim()).toBe('true unsupported function function')
    },
    120_000,
  )
})

describe('an application that bundles it', () => {
  const bundles = new Map<string, Rolldown.OutputChunk[]>()
  beforeAll(async () => {
    for (const entry of ['skipstone', 'skipstone/worker', 'skipstone/inspector'])
      bundles.set(entry, await bundle(entry))
  }, 120_000)

  async function bundle(entry: string): Promise<Rolldown.OutputChunk[]> {
    const file = path.join(app, `${entry.replace('/', '-')}.js`)
    // An import for its effect alone has to register the element.
    writeFileSync(file, entry.endsWith('inspector') ? `import '${entry}'` : `export * from '${entry}'`)
    const result = await build({
      configFile: false,
      root: app,
      logLevel: 'error',
      publicDir: false,
      worker: { format: 'es' },
      build: {
        write: false,
        target: 'es2022',
        modulePreload: false,
        rolldownOptions: { input: file, preserveEntrySignatures: 'strict' },
      },
    })
    const { output } = result as Rolldown.RolldownOutput
    return output.filter((part) => part.type === 'chunk')
  }

  const size = (chunks: readonly Rolldown.OutputChunk[]) =>
    chunks.reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).byteLength, 0)

  /** The entry and what it imports statically. */
  function core(chunks: readonly Rolldown.OutputChunk[]): Rolldown.OutputChunk[] {
    const found = new Set<string>()
    const visit = (name: string) => {
      if (found.has(name)) return
      found.add(name)
      for (const imported of chunks.find(({ fileName }) => fileName === name)!.imports) visit(imported)
    }
    visit(chunks.find(({ isEntry }) => isEntry)!.fileName)
    return chunks.filter(({ fileName }) => found.has(fileName))
  }

  it.each(['skipstone', 'skipstone/worker'])('downloads at most 45 KiB with %s', (entry) => {
    const chunks = core(bundles.get(entry)!)
    console.log(`${entry}: core ${(size(chunks) / KIB).toFixed(1)} KiB gzip`)
    expect(size(chunks)).toBeLessThan(45 * KIB)
    const modules = chunks.flatMap(({ moduleIds }) => moduleIds)
    expect(modules.filter((id) => /@huggingface|@noble|inspector|load-model/.test(id))).toEqual([])
  })

  it('downloads the inspector alone where only that is imported', () => {
    const chunks = bundles.get('skipstone/inspector')!
    console.log(`skipstone/inspector: ${(size(chunks) / KIB).toFixed(1)} KiB gzip`)
    expect(size(chunks)).toBeLessThan(25 * KIB)
    expect(chunks.map(({ code }) => code).join('')).toContain('customElements.define')
    const modules = chunks.flatMap(({ moduleIds }) => moduleIds).filter((id) => id.includes('/skipstone/dist/'))
    expect(modules.map((id) => path.basename(id)).sort()).toEqual(['errors.js', 'inspector.js'])
  })

  it('has at most 110 KiB with everything but the inspector and what few pages ask for', () => {
    const chunks = bundles.get('skipstone')!
    /** Loaded when somebody asks for it, with what it may have at most. */
    const EXTRAS = {
      grammar: 15,
      batch: 6,
      tools: 5,
      texts: 2,
      'few-rows': 2,
      software: 4,
      adjusting: 1,
      lora: 3,
      torch: 4,
      activations: 3,
      fastest: 3,
      profile: 4,
      streaming: 4,
      policies: 5,
      gates: 4,
      layers: 4,
      inspect: 2,
      speculation: 4,
      rows: 1,
      'two-layer': 1,
      study: 6,
      tuning: 22,
      'tuning-gates': 4,
      sweep: 4,
    }
    const extraOf = ({ moduleIds }: Rolldown.OutputChunk) =>
      Object.keys(EXTRAS).find((name) => moduleIds.some((id) => id.endsWith(`/chunks/${name}.js`)))
    const rest = chunks.filter((chunk) => extraOf(chunk) === undefined)
    console.log(`${(size(rest) / KIB).toFixed(2)} KiB gzip in ${rest.length} files`)
    expect(size(rest)).toBeLessThan(110 * KIB)
    for (const [name, most] of Object.entries(EXTRAS)) {
      const extra = chunks.filter((chunk) => extraOf(chunk) === name)
      console.log(`${name}: ${(size(extra) / KIB).toFixed(1)} KiB gzip more`)
      expect(extra).toHaveLength(1)
      expect(size(extra)).toBeLessThan(most * KIB)
      // Nobody who loads the rest loads it too.
      expect(rest.filter(({ imports }) => imports.includes(extra[0]!.fileName))).toEqual([])
    }
  })

  it('is given the worker as a file of its own, beside the page', () => {
    const code = core(bundles.get('skipstone/worker')!).map((chunk) => chunk.code)
    expect(code.join('')).toMatch(/new Worker\(/)
  })
})
