import path from 'node:path'
import { defineConfig } from 'vite'
import { offlineFiles } from './tools/offline-files.js'

const source = (file: string) => path.join(import.meta.dirname, 'src', file)
const EXAMPLES = ['plain', 'worker', 'chat', 'react', 'trace'].map((name) => `examples/${name}.html`)

/** The pages: `vite` serves them, `vite build` writes them to dist/demo. */
export default defineConfig({
  root: path.join(import.meta.dirname, 'demo'),
  publicDir: path.join(import.meta.dirname, 'public'),
  base: './', // so that the built pages work in any folder of a server
  appType: 'mpa', // a model file that is missing is a 404, not the page
  // The examples import the package by its name, as applications do.
  resolve: {
    alias: [
      { find: /^skipstone$/, replacement: source('index.ts') },
      { find: /^skipstone\/(worker|inspector)$/, replacement: source('$1/index.ts') },
    ],
  },
  server: { host: '127.0.0.1' },
  preview: { host: '127.0.0.1' },
  // Found while the first text is made otherwise, and the page would reload under it.
  optimizeDeps: {
    include: [
      '@huggingface/tokenizers',
      '@huggingface/jinja',
      '@noble/hashes/sha2.js',
      '@noble/hashes/utils.js',
      'idb-keyval',
      'wgsl-preprocessor/wgsl-preprocessor.js',
    ],
  },
  worker: { format: 'es' },
  plugins: [offlineFiles('offline.js')],
  build: {
    outDir: path.join(import.meta.dirname, 'dist/demo'),
    emptyOutDir: true,
    target: 'es2022',
    rolldownOptions: {
      input: Object.fromEntries(
        ['index.html', 'compare.html', 'tune.html', ...EXAMPLES, 'offline-worker.ts'].map((file) => [
          file.replace(/\.\w+$/, ''),
          path.join(import.meta.dirname, 'demo', file),
        ]),
      ),
      output: {
        // Beside the pages, or it could not answer for them.
        entryFileNames: ({ name }) => (name === 'offline-worker' ? 'offline.js' : 'assets/[name]-[hash].js'),
      },
    },
  },
})
