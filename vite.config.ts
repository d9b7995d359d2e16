import path from 'node:path'
import { defineConfig } from 'vite'

/** The pages: `vite` serves them, `vite build` writes them to dist/demo. */
export default defineConfig({
  root: path.join(import.meta.dirname, 'demo'),
  publicDir: path.join(import.meta.dirname, 'public'),
  base: './', // so that the built pages work in any folder of a server
  appType: 'mpa', // a model file that is missing is a 404, not the page
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
      'wgsl-preprocessor',
    ],
  },
  worker: { format: 'es' },
  build: {
    outDir: path.join(import.meta.dirname, 'dist/demo'),
    emptyOutDir: true,
    target: 'es2022',
    rolldownOptions: {
      input: ['index.html', 'compare.html'].map((page) => path.join(import.meta.dirname, 'demo', page)),
    },
  },
})
