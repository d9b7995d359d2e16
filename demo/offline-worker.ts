/**
 * The service worker of the built pages: keeps their own files, so that they open without a network. Models are kept by the library
 * itself. The build writes the list of files in, and a version that changes with any of them (see tools/offline-files.ts).
 */
declare const PAGE_FILES: readonly string[]
declare const PAGE_VERSION: string

/** Of the lifetime of a service worker; the DOM's types know only pages. */
interface ExtendableEvent extends Event {
  waitUntil(done: Promise<unknown>): void
}

interface FetchEvent extends Event {
  readonly request: Request
  respondWith(response: Promise<Response>): void
}

const PREFIX = 'skipstone-pages-'
const NAME = PREFIX + PAGE_VERSION
const kept = new Set(PAGE_FILES.map((file) => new URL(file, location.href).href))

addEventListener('install', (event) => {
  ;(event as ExtendableEvent).waitUntil(keep())
})

addEventListener('activate', (event) => {
  ;(event as ExtendableEvent).waitUntil(forgetOthers())
})

addEventListener('fetch', (event) => {
  const { request, respondWith } = event as FetchEvent
  const { origin, pathname } = new URL(request.url)
  const address = origin + pathname.replace(/\/$/, '/index.html')
  if (request.method === 'GET' && kept.has(address)) respondWith.call(event, answer(address, request))
})

async function keep(): Promise<void> {
  const cache = await caches.open(NAME)
  // Past the browser's own cache, which may hold files of the version before.
  await cache.addAll([...kept].map((url) => new Request(url, { cache: 'reload' })))
}

async function forgetOthers(): Promise<void> {
  const names = await caches.keys()
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== NAME).map((name) => caches.delete(name)))
}

/** All files of one version, so that a page never meets another version's script. */
async function answer(address: string, request: Request): Promise<Response> {
  const cache = await caches.open(NAME)
  return (await cache.match(address)) ?? fetch(request)
}
