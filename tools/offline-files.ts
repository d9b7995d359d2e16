import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Plugin } from 'vite'

/** Tells pages whether they are `BUILT`, and the service worker, the file `worker` of the output, which files they consist of. */
export function offlineFiles(worker: string): Plugin {
  return {
    name: 'offline-files',
    config: (_, { command }) => ({ define: { BUILT: String(command === 'build') } }),
    writeBundle({ dir = '' }, bundle) {
      const files = Object.keys(bundle)
        .filter((name) => name !== worker)
        .sort()
      const hash = createHash('sha256')
      for (const name of files) hash.update(name).update(readFileSync(path.join(dir, name)))
      const written = readFileSync(path.join(dir, worker), 'utf8')
        .replace('PAGE_FILES', () => JSON.stringify(files))
        .replace('PAGE_VERSION', () => JSON.stringify(hash.digest('hex').slice(0, 16)))
      writeFileSync(path.join(dir, worker), written)
    },
  }
}
