import type { AdapterName } from './adapters.js'

/** `level` is the console method's name; uncaught errors come as `error`. */
export type ConsoleListener = (level: string, text: string) => void

export interface LaunchOptions {
  readonly adapter: AdapterName
  readonly onConsole: ConsoleListener
}

/** What differs between browsers: the bare handling of one page, with the driver's own errors. */
export interface RawPage {
  goto(url: string): Promise<void>
  evaluate<A, T>(pageFunction: (argument: A) => Promise<T>, argument: A): Promise<T>
  /** Resolves when the page, its process or its browser is gone; never rejects. */
  readonly gone: Promise<void>
  /** Ends the browser and removes what it left behind; also after a crash. */
  close(): Promise<void>
}

/** Long enough for a browser to start on a machine that is busy with other things. */
export const LAUNCH_TIMEOUT_MS = 120_000
