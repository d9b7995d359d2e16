import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadModel } from '../../src/index.js'
import { FileServer } from '../fixtures/file-server.js'
import { randomGguf } from '../fixtures/random-gguf.js'
import { tinyModel } from '../fixtures/tiny-model.js'
import { describeSdk, expectError, generated } from './support.js'

// Models by address. Node has no IndexedDB: what is downloaded is kept in memory, and that is said.

const IDS = [1, 7, 20, 33]

describeSdk('a model by its address', (_bench, gpu) => {
  const server = new FileServer()
  let base: string

  beforeAll(async () => {
    base = await server.start()
    const { files } = tinyModel()
    for (const [name, bytes] of files) {
      server.files.set(name, bytes)
      server.files.set(`owner/name/resolve/v1/${name}`, bytes)
    }
    const gguf = randomGguf(['Q8_0', 'F16']).file
    server.files.set('other/tiny Q8_0.gguf', gguf)
    server.files.set('owner/quantised/resolve/main/tiny-Q8_0.gguf', gguf)
  })
  afterAll(() => server.stop())

  const tokensOf = async (model: Awaited<ReturnType<typeof loadModel>>) => {
    const { tokens } = await generated(model.createSession(), IDS, { maxTokens: 4 })
    model.dispose()
    return tokens
  }

  it('loads from a folder, with a warning where nothing can be kept, or without being kept', async () => {
    const warnings: string[] = []
    const phases = new Set<string>()
    const kept = await loadModel(base, {
      gpu: gpu(),
      onWarning: (message) => warnings.push(message),
      onProgress: ({ phase }) => phases.add(phase),
    })
    expect(warnings).toEqual([expect.stringContaining('kept in memory')])
    expect([...phases]).toEqual(['config', 'download', 'upload', 'pipelines', 'ready'])
    const direct = await loadModel(base, { gpu: gpu(), store: false })
    expect(await tokensOf(kept)).toEqual(await tokensOf(direct))
  })

  it('loads from a hub, with its token', async () => {
    const hub = { endpoint: base, token: 'secret' }
    server.asked = []
    const model = await loadModel('owner/name@v1', { gpu: gpu(), hub, onWarning: () => undefined })
    expect(server.asked.every(({ headers }) => headers.authorization === 'Bearer secret')).toBe(true)
    expect(server.asked.some(({ name }) => name === 'owner/name/raw/v1/model.safetensors')).toBe(true)
    model.dispose()
    await expectError(loadModel('owner/absent', { gpu: gpu(), hub, onWarning: () => undefined }), 'not-found')
  })

  it('loads a GGUF file by its address, or by its name in a repository', async () => {
    const quiet = { gpu: gpu(), onWarning: () => undefined }
    const byAddress = await loadModel(`${base}other/tiny%20Q8_0.gguf`, quiet)
    const byName = await loadModel('owner/quantised', { ...quiet, hub: { endpoint: base }, file: 'tiny-Q8_0.gguf' })
    expect(await tokensOf(byAddress)).toEqual(await tokensOf(byName))
  })
})
