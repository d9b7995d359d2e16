// Builds the package into dist/: the library's entries with types and API.md, the command line (cli.js), the page that it runs in
// browsers (page.js), the embedded models, the demo pages, and the example extension.
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, runnerImport } from 'vite'
import { apiReference } from './api-reference.mjs'
import { shaderText } from './shader-text.mjs'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const dist = path.join(root, 'dist')
const { dependencies, exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
rmSync(dist, { recursive: true, force: true })

const common = { configFile: false, root, publicDir: false, logLevel: 'warn', plugins: [shaderText] }
const output = (lib, rest) => ({ outDir: dist, emptyOutDir: false, minify: false, target: 'es2022', lib, ...rest })
const isDependency = (id) => Object.keys(dependencies).some((name) => id === name || id.startsWith(`${name}/`))

/** The worker's script is an entry of its own: its address stays as bundlers of embedders know it. */
const ENGINE_URL = "new URL('./engine.ts', import.meta.url)"
const workerAddress = {
  name: 'worker-address',
  enforce: 'pre',
  transform: (code, id) => (id.endsWith('src/worker/spawn.ts') ? code.replace(ENGINE_URL, '__ENGINE_URL__') : null),
  renderChunk: (code, { fileName }) =>
    code.replace('__ENGINE_URL__', `new URL('${fileName.includes('/') ? '..' : '.'}/engine.js', import.meta.url)`),
}

/** Kernels that the first token of a model does without; those of training come last. */
const OTHERS_KERNELS =
  /packed-|few-rows|gemm-straight|attention-(in-turn|passed|scores|values)|(kernels|shaders)\/adjust-logits|reference\/(adjust-logits|sampling)|merge-splits|two-layer|batch-row|append-rows|form-variants|read-sum|nll|compare-states|scale-rows|gate-scores|gate-bottleneck|fill-skipped|add-gated|pool-gates|quantile-margins|carry-margins|forced-mask|-backward|adamw|squares-sum|attention-sequences|cross-entropy|gate-(apply|sample)|channel-gates|keep-ranked|gumbel|product-strided|step-(losses|settings)|swiglu|snippets\/sequences/

/** What of training is for GateSkip's gates alone. */
const GATESKIP =
  /tuning\/(gateskip-training|residual-gates|initial-gates)|channel-gates|keep-ranked|tune-stages\/gateskip/

/**
 * What a page loads together lies together, which compresses better; each chunk has what its modules import and those before it do not
 * have. Whoever only lists stored models does without the runtime, and whoever loads no GGUF without what reads it.
 */
const CHUNKS = [
  { name: 'errors', test: /src\/errors\.ts$/ },
  // Lots are drawn by policies too, which nothing else of the kernels goes with.
  { name: 'core', test: /src\/(index|kernels\/reference\/random)\.ts$/ },
  // What a model and its counterpart in front of a worker share.
  {
    name: 'requests',
    test: /src\/(storage\/hub|sdk\/(session-(request|state)|openai\/(completions|embeddings|text-completions)))\.ts$/,
  },
  { name: 'client', test: /src\/worker\/index\.ts$/ },
  { name: 'store', test: /src\/storage\/(default-store|library)\.ts$/ },
  {
    name: 'kernels',
    test: (id) => /\/(shaders|src\/kernels)\//.test(id) && !OTHERS_KERNELS.test(id),
  },
  {
    name: 'runtime',
    test: /src\/sdk\/(?!gguf|tune|policy-tensors|format-constraint|inspect\.|openai\/(tools|text-(answers|logprobs)))/,
  },
  // Texts of a schema, an expression or a grammar.
  { name: 'grammar', test: /src\/(grammar\/|sdk\/format-constraint)/ },
  // OpenAI's older API.
  { name: 'texts', test: /openai\/text-(answers|logprobs)\.ts/ },
  // What reads many rows at a time.
  { name: 'rows', test: /src\/runtime\/(rows-logits|states-program)\.ts/ },
  // For generations at the same time.
  { name: 'batch', test: /src\/runtime\/batch\/|\/(merge-splits|batch-row|append-rows)|openai\/several\.ts/ },
  { name: 'profile', test: /(study\/profile|device-limits|gpu\/profile|read-sum)/ },
  // Products in 8 bits come with a model that was asked for them.
  { name: 'activations', test: /src\/runtime\/activations\.ts|packed-/ },
  // What compares policies, and scores a text step by step.
  { name: 'sweep', test: /study\/(sweep|closest-share|speeds|score-steps|median)\.ts/ },
  {
    name: 'study',
    test: /src\/study\/|src\/runtime\/(score|states|read-rows|compare-states|with-buffers|prompt-reader|watching|scaled-sublayer)\.|\/(nll|compare-states|scale-rows|forced-mask)\.|skip\/profile/,
  },
  // For models with gates of their own.
  {
    name: 'gates',
    test: /src\/runtime\/gates\/(?!layer-|adapter)|\/(gate-scores|add-gated|pool-gates|quantile-margins|carry-margins|fill-skipped)\.|policy-tensors/,
  },
  {
    name: 'policies',
    test: /src\/skip\/(gate|dlo|mindskip|quantile|makers|forced|first|random|unified|shortgpt|sleb|adaskip|speculative|litestage|layerskip|policy-name|static-set)\.ts/,
  },
  // Gates of whole layers, with what tokens get instead.
  { name: 'layers', test: /src\/runtime\/gates\/(layer-|adapter)|gate-bottleneck|skip\/(flexidepth|dllm)/ },
  { name: 'speculation', test: /src\/runtime\/speculation\/|reference\/(adjust-logits|sampling)/ },
  // What a model is, before it is loaded.
  { name: 'inspect', test: /src\/sdk\/inspect\.ts/ },
  // Software devices do without.
  { name: 'few-rows', test: /few-rows/ },
  // For software devices alone.
  { name: 'software', test: /attention-(in-turn|passed|scores|values)|gemm-straight/ },
  // For requests with biases, penalties or a grammar.
  { name: 'adjusting', test: /(kernels|shaders)\/adjust-logits/ },
  // For models with a LoRA.
  { name: 'lora', test: /model\/adapter\.ts|formats\/peft\.ts/ },
  // For requests with tools.
  { name: 'tools', test: /openai\/tools\// },
  { name: 'torch', test: /src\/formats\/torch\.ts/ },
  // Once for a device.
  { name: 'fastest', test: /(fastest-form|form-variants|tuned-forms|form-memory)\.ts/ },
  {
    name: 'tuning',
    test: (id) =>
      /src\/(tuning\/|sdk\/tune(-run|-stages\/\w+)?\.ts|storage\/tuning-memory|formats\/safetensors-writer)|\/shaders\//.test(
        id,
      ) && !GATESKIP.test(id),
  },
  { name: 'tuning-gates', test: GATESKIP },
  // For routers of two layers.
  { name: 'two-layer', test: /router-two-layer/ },
  // Both ends of training in a worker.
  { name: 'tuning-port', test: /src\/(worker\/(tune-run|tuning)|sdk\/tune-steps)\.ts/ },
  // For models that are larger than their budget.
  { name: 'streaming', test: /(weight-stream|streamed-step|residency)\.ts/ },
].map((group, i, all) => ({ ...group, priority: all.length - i }))

// The library leaves its dependencies to the embedder's bundler.
const source = (file) => path.join(root, 'src', file)
await build({
  ...common,
  plugins: [shaderText, workerAddress],
  build: output(
    {
      entry: {
        index: source('index.ts'),
        worker: source('worker/index.ts'),
        serve: source('worker/serve.ts'),
        engine: source('worker/engine.ts'),
        inspector: source('inspector/index.ts'),
      },
      formats: ['es'],
    },
    {
      rolldownOptions: {
        external: isDependency,
        output: { chunkFileNames: 'chunks/[name].js', codeSplitting: { groups: CHUNKS } },
      },
    },
  ),
})
// The command line runs in Node; browsers' drivers and Dawn are found at run time where they are installed.
await build({
  ...common,
  build: output(
    { entry: { cli: path.join(root, 'src/node/cli.ts') }, formats: ['es'] },
    {
      target: 'node20',
      rolldownOptions: {
        external: (id) =>
          isDependency(id) || id.startsWith('node:') || ['webgpu', 'playwright', 'puppeteer-core', 'vite'].includes(id),
        output: { banner: '#!/usr/bin/env node', chunkFileNames: 'cli/[name].js' },
      },
    },
  ),
})
chmodSync(path.join(dist, 'cli.js'), 0o755)
// A browser page has no package manager: everything in one file.
await build({
  ...common,
  define: { 'process.env.NODE_ENV': '"production"' },
  build: output(
    { entry: { page: path.join(root, 'src/node/page.ts') }, formats: ['es'] },
    { rolldownOptions: { output: { codeSplitting: false } } },
  ),
})
execFileSync(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
const entries = Object.entries(exports)
  .filter(([, { types }]) => types)
  .map(([name, { types }]) => ({ name: name.replace('.', 'skipstone'), types: path.join(root, types) }))
writeFileSync(path.join(dist, 'API.md'), apiReference(entries))
cpSync(path.join(root, 'public/models'), path.join(dist, 'models'), { recursive: true })
await build({ configFile: path.join(root, 'vite.config.ts'), logLevel: 'warn' })
const { module: extension } = await runnerImport(path.join(root, 'tools/build-extension.ts'))
await extension.buildExtension(path.join(dist, 'extension'))
