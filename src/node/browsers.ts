import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'

/** Path of a Chromium or Chrome that can run pages with WebGPU; undefined where none is installed. */
export function findChromium(): string | undefined {
  return firstThatExists([process.env.SKIPSTONE_CHROMIUM, ...usualChromiums(), ...playwrightChromiums()])
}

/** Path of a Firefox; undefined where none is installed. */
export function findFirefox(): string | undefined {
  return firstThatExists([process.env.SKIPSTONE_FIREFOX, ...usualFirefoxes()])
}

/** The folders of the Chromium builds that Playwright has downloaded, newest first. */
export function playwrightChromiumFolders(): string[] {
  const cache = process.env.PLAYWRIGHT_BROWSERS_PATH || playwrightCache()
  return entriesOf(cache)
    .filter((name) => /^chromium-\d+$/.test(name)) // not the headless shell, which has no WebGPU
    .sort((a, b) => revision(b) - revision(a))
    .flatMap((name) => entriesOf(path.join(cache, name)).map((build) => path.join(cache, name, build)))
}

/** The names in a folder; none where there is no such folder. */
export function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

export function firstThatExists(candidates: readonly (string | undefined)[]): string | undefined {
  return candidates.find((candidate) => candidate !== undefined && candidate !== '' && existsSync(candidate))
}

function usualChromiums(): string[] {
  if (process.platform === 'darwin') {
    return [
      '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
      '/Applications/Chromium.app/Contents/MacOS/Chromium',
      '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
    ]
  }
  if (process.platform === 'win32') {
    return inProgramFolders(
      'Google\\Chrome\\Application\\chrome.exe',
      'Chromium\\Application\\chrome.exe',
      'Microsoft\\Edge\\Application\\msedge.exe',
    )
  }
  return [
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
    '/usr/bin/google-chrome-stable',
    '/opt/google/chrome/chrome',
    '/snap/bin/chromium',
  ]
}

function usualFirefoxes(): string[] {
  if (process.platform === 'darwin') {
    return [
      '/Applications/Firefox.app/Contents/MacOS/firefox',
      '/Applications/Firefox Nightly.app/Contents/MacOS/firefox',
    ]
  }
  if (process.platform === 'win32') return inProgramFolders('Mozilla Firefox\\firefox.exe')
  return ['/usr/bin/firefox-esr', '/usr/bin/firefox', '/usr/lib/firefox/firefox', '/snap/bin/firefox']
}

function inProgramFolders(...relatives: string[]): string[] {
  const roots = [process.env.PROGRAMFILES, process.env['PROGRAMFILES(X86)'], process.env.LOCALAPPDATA]
  return relatives.flatMap((relative) =>
    roots.filter((root) => root !== undefined).map((root) => path.join(root, relative)),
  )
}

function playwrightChromiums(): string[] {
  const inBuild = [
    'chrome',
    'chrome.exe',
    'Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing',
    'Chromium.app/Contents/MacOS/Chromium',
  ]
  return playwrightChromiumFolders().flatMap((folder) => inBuild.map((relative) => path.join(folder, relative)))
}

function playwrightCache(): string {
  if (process.platform === 'darwin') return path.join(homedir(), 'Library/Caches/ms-playwright')
  if (process.platform === 'win32') return path.join(process.env.LOCALAPPDATA ?? homedir(), 'ms-playwright')
  return path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'ms-playwright')
}

function revision(name: string): number {
  return Number(name.slice('chromium-'.length))
}
