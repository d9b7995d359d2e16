import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The text of the one ES module that a browser page runs for the command line or a test. In a checkout `entry`, the path
 * of a TypeScript module, is bundled on the spot; an installed package has no sources and brings its only page ready-made
 * as `page.js`.
 */
export async function buildPageBundle(entry: string): Promise<string> {
  const packaged = packagedPage()
  return packaged === undefined ? bundle(path.resolve(entry)) : readFile(packaged, 'utf8')
}

/** The built page beside this module; only a package has one. */
function packagedPage(): string | undefined {
  const page = path.join(path.dirname(fileURLToPath(import.meta.url)), 'page.js')
  return existsSync(page) ? page : undefined
}

async function bundle(entry: string): Promise<string> {
  return (await bundlePage(entry, { codeSplitting: false })).map(({ code }) => code).join('')
}

/** The scripts of a page that runs `entry`, the first of them `page.js`: all in one, or as many as an application's bundler makes of it. */
export async function bundlePage(
  entry: string,
  output: { readonly codeSplitting: boolean },
): Promise<{ fileName: string; code: string }[]> {
  const { build } = await import('vite')
  const result = await build({
    configFile: false,
    envDir: false,
    logLevel: 'error',
    root: path.dirname(entry),
    publicDir: false,
    define: { 'process.env.NODE_ENV': '"production"' },
    build: {
      write: false,
      minify: false,
      target: 'esnext',
      lib: { entry, formats: ['es'], fileName: 'page' },
      rolldownOptions: { output },
    },
  })
  const outputs = (Array.isArray(result) ? result : 'output' in result ? [result] : []).flatMap(({ output }) => output)
  return outputs.flatMap((part) => (part.type === 'chunk' ? [{ fileName: part.fileName, code: part.code }] : []))
}
