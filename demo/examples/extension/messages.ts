/** What page and service worker say to each other. */
export type Request = { readonly prompt: string }
export type Reply = { readonly text: string } | { readonly error: string } | { readonly done: true }

/** Of the extension API, what this example uses. */
export interface Port {
  readonly onMessage: { addListener(listener: (message: unknown) => void): void }
  readonly onDisconnect: { addListener(listener: () => void): void }
  postMessage(message: Request | Reply): void
}

declare global {
  const chrome: {
    readonly runtime: {
      readonly onConnect: { addListener(listener: (port: Port) => void): void }
      connect(): Port
      getURL(path: string): string
    }
  }
}
