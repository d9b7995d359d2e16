import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** A new folder for a program's temporary files, removed with all that is in it: when asked, or when Node exits. */
export class TemporaryFolder {
  readonly #removeOnExit: () => void

  private constructor(readonly path: string) {
    this.#removeOnExit = () => rmSync(path, { recursive: true, force: true })
    process.once('exit', this.#removeOnExit)
  }

  static async create(): Promise<TemporaryFolder> {
    return new TemporaryFolder(await mkdtemp(path.join(tmpdir(), 'skipstone-')))
  }

  async remove(): Promise<void> {
    process.off('exit', this.#removeOnExit)
    // The last processes of the program may still be writing.
    await rm(this.path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }
}
