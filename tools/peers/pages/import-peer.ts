/** Imports a module of a peer from where the benchmark serves it: a bundler must not look for it. */
export async function importPeer<T>(url: string): Promise<T> {
  return (await import(/* @vite-ignore */ new URL(url, location.href).href)) as T
}
