import path from 'node:path'
import { SkipstoneError } from '../errors.js'
import { entriesOf, firstThatExists, playwrightChromiumFolders } from './browsers.js'

/** `auto` is whatever the machine offers; the other two are Vulkan drivers that run on the CPU. */
export type AdapterName = 'auto' | 'swiftshader' | 'lavapipe'

export type SoftwareAdapter = Exclude<AdapterName, 'auto'>

/** Path of the Vulkan driver manifest (ICD) of a software adapter; undefined where it is not installed. */
export function findDriverManifest(adapter: SoftwareAdapter): string | undefined {
  return adapter === 'lavapipe' ? findLavapipe() : findSwiftShader()
}

/** As `findDriverManifest`, for a caller who asked for this adapter by name. */
export function requireDriverManifest(adapter: SoftwareAdapter): string {
  const manifest = findDriverManifest(adapter)
  if (manifest === undefined) throw new SkipstoneError('not-found', HOW_TO_INSTALL[adapter])
  return manifest
}

/**
 * Environment variables that make the Vulkan loader use this driver and no other. Loaders before 1.3.207 know only the
 * second name.
 */
export function driverEnvironment(manifest: string): { VK_DRIVER_FILES: string; VK_ICD_FILENAMES: string } {
  return { VK_DRIVER_FILES: manifest, VK_ICD_FILENAMES: manifest }
}

const HOW_TO_INSTALL: Record<SoftwareAdapter, string> = {
  lavapipe:
    'The lavapipe Vulkan driver is not installed: run `apt-get install mesa-vulkan-drivers` (on Debian 12 from ' +
    'bookworm-backports), or set SKIPSTONE_LAVAPIPE_ICD to its lvp_icd.json.',
  swiftshader:
    'SwiftShader was not found: it comes with Chromium, so run `apt-get install chromium` or ' +
    '`npx playwright install chromium`, or set SKIPSTONE_SWIFTSHADER_ICD to its vk_swiftshader_icd.json.',
}

function findLavapipe(): string | undefined {
  const folders = ['/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/usr/local/etc/vulkan/icd.d']
  const manifests = [...folders, '/usr/share/vulkan/icd.d'].flatMap((folder) =>
    entriesOf(folder)
      .filter((name) => /^lvp_icd.*\.json$/.test(name))
      .map((name) => path.join(folder, name)),
  )
  // Distributions that can install several architectures name each in its manifest.
  const ownArchitecture = manifests.find((manifest) => manifest.includes(VULKAN_ARCHITECTURES[process.arch] ?? '?'))
  return firstThatExists([process.env.SKIPSTONE_LAVAPIPE_ICD, ownArchitecture, ...manifests])
}

const VULKAN_ARCHITECTURES: Record<string, string> = { x64: 'x86_64', arm64: 'aarch64' }

function findSwiftShader(): string | undefined {
  const folders = [
    '/usr/lib/chromium',
    '/usr/lib64/chromium-browser',
    '/usr/lib/chromium-browser',
    '/opt/google/chrome',
    ...playwrightChromiumFolders(),
  ]
  const manifests = folders.map((folder) => path.join(folder, 'vk_swiftshader_icd.json'))
  return firstThatExists([process.env.SKIPSTONE_SWIFTSHADER_ICD, ...manifests])
}
