import { defineConfig } from 'vitest/config'

/** Kernels, and golden runs of whole models: the same files on every software adapter. */
const gpuTests = [
  'tests/kernels/**/*.test.ts',
  'tests/gpu/**/*.test.ts',
  'tests/golden/own.test.ts',
  'tests/golden/gguf.test.ts',
]
/** Larger models: minutes on SwiftShader, so there they are long tests. */
const largerGoldens = ['tests/golden/shared.test.ts', 'tests/golden/pebble.test.ts']

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
          exclude: ['tests/long/**', 'node_modules/**', ...gpuTests, ...largerGoldens],
        },
      },
      onAdapter('kernels-lavapipe', 'lavapipe', [...gpuTests, ...largerGoldens]),
      onAdapter('kernels-swiftshader', 'swiftshader', gpuTests),
      onAdapter('long-swiftshader', 'swiftshader', largerGoldens),
      { extends: true, test: { name: 'long', include: ['tests/long/**/*.test.ts'], testTimeout: 1_800_000 } },
    ],
  },
})
