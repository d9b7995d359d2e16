import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import type { PageFile } from '../../../src/node/page-server.js'
import { shaderText } from '../../shader-text.mjs'
import type { EngineName } from '../engines.js'

const folder = path.dirname(fileURLToPath(import.meta.url))

/** An engine's page as an application would ship it, minified and with what loads later in files of its own. By URL path. */
export async function bundlePage(engine: EngineName): Promise<Map<string, PageFile>> {
  const result = await build({
    configFile: false,
    envDir: false,
    logLevel: 'error',
    root: folder,
    base: '/page/',
    publicDir: false,
    plugins: [shaderText],
    worker: { rolldownOptions: { output: { minify: true } } },
    build: {
      write: false,
      minify: true,
      target: 'esnext',
      modulePreload: false,
      rolldownOptions: {
        input: { [engine]: path.join(folder, `${engine}.ts`) },
        output: { entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js' },
      },
    },
  })
  const outputs = (Array.isArray(result) ? result : 'output' in result ? [result] : []).flatMap(({ output }) => output)
  const files = new Map<string, PageFile>()
  for (const part of outputs) {
    files.set(`/page/${part.fileName}`, {
      type: 'text/javascript',
      body: part.type === 'chunk' ? part.code : part.source,
    })
  }
  const script = `<script type="module" src="/page/${engine}.js"></script>`
  files.set('/', { type: 'text/html', body: `<!doctype html><meta charset="utf-8"><title>${engine}</title>${script}` })
  return files
}
