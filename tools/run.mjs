// Runs a TypeScript module of this checkout without a build:
//
//   node tools/run.mjs src/node/cli.ts args…
//
// The module's path is relative to the checkout. The module sees its own path in process.argv[1] and its arguments after
// it, and its standard output belongs to it alone (see src/node/own-stdout.d.mts): it writes there with `writeStdout`.
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { ownStdout } from '../src/node/own-stdout.mjs'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const [module, ...rest] = process.argv.slice(2)

if (module === undefined) {
  console.error('Say which module to run: node tools/run.mjs <module.ts> [arguments]')
  process.exit(2)
}
await ownStdout()

// Not vite's `runnerImport`: that closes the runner when the module has been evaluated, and a module that imports
// another one later, as the command line does with each of its commands, would then fail.
const { createRunnableDevEnvironment, resolveConfig } = await import('vite')
const config = await resolveConfig(
  {
    configFile: false,
    envDir: false,
    root,
    logLevel: 'error',
    cacheDir: path.join(root, 'node_modules/.vite-run'),
    server: { watch: null, ws: false },
    environments: {
      tool: {
        consumer: 'server',
        dev: { moduleRunnerTransform: true },
        resolve: { external: true, mainFields: [], conditions: ['node'] },
      },
    },
  },
  'serve',
)
const environment = createRunnableDevEnvironment('tool', config, { runnerOptions: { hmr: false }, hot: false })
await environment.init()

const file = path.resolve(root, module)
process.argv = [process.argv[0], file, ...rest]
try {
  await environment.runner.import(file)
} catch (error) {
  console.error(error)
  process.exit(1)
}
