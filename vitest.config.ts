import { defineConfig } from 'vitest/config'

/** Kernels: the same files on every software adapter. */
const gpuTests = ['tests/kernels/**/*.test.ts', 'tests/gpu/**/*.test.ts']
/** Golden runs of whole models: minutes on either adapter, so each runs on the one that is faster with it, and on the other as a long test. */
const golden = (...names: string[]) => names.map((name) => `tests/golden/${name}.test.ts`)
const wholeModels = { lavapipe: golden('shared', 'pebble', 'gguf'), swiftshader: golden('own') }

const onAdapter = (name: string, adapter: 'lavapipe' | 'swiftshader', include: readonly string[]) => ({
  extends: true as const,
  test: { name, include: [...include], env: { SKIPSTONE_TEST_ADAPTER: adapter } },
})

export default defineConfig({
  test: {
    // A live GPU device must not cross a file boundary: one process per file.
    pool: 'forks',
    isolate: true,
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['tests/**/*.test.ts'],
          exclude: [
            'tests/long/**',
            'node_modules/**',
            ...gpuTests,
            ...wholeModels.lavapipe,
            ...wholeModels.swiftshader,
          ],
        },
      },
      onAdapter('kernels-lavapipe', 'lavapipe', [...gpuTests, ...wholeModels.lavapipe]),
      onAdapter('kernels-swiftshader', 'swiftshader', [...gpuTests, ...wholeModels.swiftshader]),
      onAdapter('long-lavapipe', 'lavapipe', wholeModels.swiftshader),
      onAdapter('long-swiftshader', 'swiftshader', wholeModels.lavapipe),
      { extends: true, test: { name: 'long', include: ['tests/long/**/*.test.ts'], testTimeout: 1_800_000 } },
    ],
  },
})
