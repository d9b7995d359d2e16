// Builds the example extension into a folder that a browser can load unpacked. Service workers cannot import code later: the engine and all
// that it loads on demand go into one file.
import { cpSync } from 'node:fs'
import path from 'node:path'
import { build } from 'vite'

const root = path.join(import.meta.dirname, '..')
const examples = path.join(root, 'demo/examples')

/** `outDir` is emptied first. */
export async function buildExtension(outDir: string): Promise<void> {
  for (const [i, name] of ['background', 'page'].entries()) {
    await build({
      configFile: false,
      root,
      publicDir: false,
      logLevel: 'warn',
      resolve: { alias: { skipstone: path.join(root, 'src/index.ts') } },
      define: { 'process.env.NODE_ENV': '"production"' },
      build: {
        outDir,
        emptyOutDir: i === 0,
        target: 'es2022',
        lib: { entry: { [name]: path.join(examples, 'extension', `${name}.ts`) }, formats: ['es'] },
        rolldownOptions: { output: { codeSplitting: false } },
      },
    })
  }
  for (const file of ['manifest.json', 'page.html'])
    cpSync(path.join(examples, 'extension', file), path.join(outDir, file))
  cpSync(path.join(examples, 'examples.css'), path.join(outDir, 'examples.css'))
  cpSync(path.join(root, 'public/models'), path.join(outDir, 'models'), { recursive: true })
}
