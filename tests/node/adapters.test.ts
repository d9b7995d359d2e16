import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import { driverEnvironment, findDriverManifest } from '../../src/node/adapters.js'
import { findChromium, findFirefox, playwrightChromiumFolders } from '../../src/node/browsers.js'
import { createDawnGpu } from '../../src/node/dawn.js'

afterEach(() => {
  vi.unstubAllEnvs()
})

describe('finding drivers and browsers', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'skipstone-adapters-'))
    return () => rmSync(folder, { recursive: true })
  })

  it.each([
    ['SKIPSTONE_LAVAPIPE_ICD', () => findDriverManifest('lavapipe')],
    ['SKIPSTONE_SWIFTSHADER_ICD', () => findDriverManifest('swiftshader')],
    ['SKIPSTONE_CHROMIUM', findChromium],
    ['SKIPSTONE_FIREFOX', findFirefox],
  ])('%s wins where it names a file', (variable, find) => {
    const file = path.join(folder, 'named')
    writeFileSync(file, '')
    vi.stubEnv(variable, file)
    expect(find()).toBe(file)
    vi.stubEnv(variable, path.join(folder, 'missing'))
    expect(find()).not.toBe(path.join(folder, 'missing'))
  })

  it('finds what Playwright downloaded, the newest build first and never the headless shell', () => {
    vi.stubEnv('PLAYWRIGHT_BROWSERS_PATH', folder)
    for (const build of [
      'chromium-99/chrome-linux',
      'chromium-1200/chrome-linux64',
      'chromium_headless_shell-1300/x',
    ]) {
      mkdirSync(path.join(folder, build), { recursive: true })
    }
    expect(playwrightChromiumFolders()).toEqual([
      path.join(folder, 'chromium-1200/chrome-linux64'),
      path.join(folder, 'chromium-99/chrome-linux'),
    ])
  })

  it('names what to install when a driver that was asked for is absent', async () => {
    vi.resetModules()
    vi.doMock('../../src/node/browsers.js', async (original) => ({
      ...(await original<typeof import('../../src/node/browsers.js')>()),
      firstThatExists: () => undefined,
    }))
    const { requireDriverManifest } = await import('../../src/node/adapters.js')
    vi.doUnmock('../../src/node/browsers.js')
    expect(() => requireDriverManifest('lavapipe')).toThrow('apt-get install mesa-vulkan-drivers')
    expect(() => requireDriverManifest('swiftshader')).toThrow('SKIPSTONE_SWIFTSHADER_ICD')
  })
})

// On CI a driver that is missing is a failure; elsewhere its tests are reported as not run.
const CI = process.env.CI !== undefined

describe('Dawn', () => {
  describe.each([
    ['lavapipe', 'mesa'],
    ['swiftshader', 'google'],
  ] as const)('%s', (adapter, vendor) => {
    it.skipIf(!CI && findDriverManifest(adapter) === undefined)(
      'is the adapter that was asked for, and the environment is left alone',
      async () => {
        vi.stubEnv('VK_ICD_FILENAMES', '/before.json')
        vi.stubEnv('VK_DRIVER_FILES', undefined)
        const dawn = await createDawnGpu(adapter)
        expect(dawn.adapter).toBe(adapter)
        expect((await dawn.gpu.requestAdapter())?.info.vendor).toBe(vendor)
        expect(process.env.VK_ICD_FILENAMES).toBe('/before.json')
        expect(process.env.VK_DRIVER_FILES).toBeUndefined()
        expect(GPUBufferUsage.STORAGE).toBe(0x80)
      },
    )
  })

  it.skipIf(!CI && findDriverManifest('lavapipe') === undefined)(
    'falls back to a software driver where the machine offers none',
    async () => {
      // A loader that is pointed at a driver that does not exist finds no adapter.
      for (const [name, value] of Object.entries(driverEnvironment('/no-such-driver.json'))) vi.stubEnv(name, value)
      const dawn = await createDawnGpu('auto')
      expect(dawn.adapter).toBe('lavapipe')
      expect(await dawn.gpu.requestAdapter()).not.toBeNull()
    },
  )

  it('says so when a named driver cannot be loaded', async () => {
    const broken = path.join(tmpdir(), `skipstone-broken-${process.pid}.json`)
    writeFileSync(broken, '{}')
    vi.stubEnv('SKIPSTONE_LAVAPIPE_ICD', broken)
    await expect(createDawnGpu('lavapipe')).rejects.toSatisfy(
      (error) => error instanceof SkipstoneError && error.code === 'no-adapter',
    )
    rmSync(broken)
  })
})
