import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = path.dirname(fileURLToPath(import.meta.url))
export const PEERS_FOLDER = path.join(folder, 'node_modules')

/** Installs the peers as the lock file beside this module pins them, where that has not been done. Their install scripts are not run. */
export function installPeers(): void {
  const wanted = Object.entries(peerVersions())
  if (wanted.every(([name, version]) => installedVersion(name) === version)) return
  process.stderr.write(`Installing ${wanted.map((one) => one.join('@')).join(', ')}.\n`)
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32', // npm is a script there
  })
}

/** By package name. */
export function peerVersions(): Record<string, string> {
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')).dependencies
}

function installedVersion(name: string): string | undefined {
  const file = path.join(PEERS_FOLDER, name, 'package.json')
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).version : undefined
}
