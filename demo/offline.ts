/** False while developing: see tools/offline-files.ts. */
declare const BUILT: boolean

/** Lets the built page open without a network from its second visit on. Where the browser forbids it, the page needs the network. */
export function worksOffline(): void {
  if (!BUILT || !('serviceWorker' in navigator)) return
  navigator.serviceWorker.register('./offline.js').catch(() => undefined)
}
