import { descendants, readProcess } from './processes.js'

const INTERVAL_MS = 500

/**
 * Watches the memory of the processes that this one has started, directly or not. Pages that several of them share count once in all, so that
 * the sum is what the machine gives (Linux's proportional set size).
 */
export class MemoryWatch {
  #peak: number | undefined
  readonly #timer: NodeJS.Timeout

  constructor() {
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS)
    this.#timer.unref()
  }

  /** The most bytes that were seen; undefined where the system does not tell. */
  stop(): number | undefined {
    clearInterval(this.#timer)
    return this.#peak
  }

  #look(): void {
    const sizes = descendants(process.pid).map(proportionalBytes)
    const sum = sizes.reduce((total, bytes) => total + bytes, 0)
    if (sum > 0) this.#peak = Math.max(this.#peak ?? 0, sum)
  }
}

function proportionalBytes(pid: number): number {
  return 1024 * Number(/^Pss:\s+(\d+)/m.exec(readProcess(pid, 'smaps_rollup'))?.[1] ?? 0)
}
