/** What both ends of a channel are: a `MessagePort`, a `Worker`, or the global scope of one. */
export interface Port {
  postMessage(message: unknown, transfer?: Transferable[]): void
  addEventListener(type: 'message' | 'messageerror', listener: (event: MessageEvent<unknown>) => void): void
  /** Message ports wait for it. */
  start?(): void
}
