import { defineConfig } from 'vitest/config'

/** Kernels, and golden runs of whole models: the same files on every software adapter. */
const gpuTests = ['tests/kernels/**/*.test.ts', 'tests/gpu/**/*.test.ts', 'tests/golden/own.test.ts']
/** The larger golden set: minutes on SwiftShader, so there it is one of the long tests. */
const sharedGolden = 'tests/golden/shared.test.ts'

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
          exclude: ['tests/long/**', 'node_modules/**', ...gpuTests, sharedGolden],
        },
      },
      onAdapter('kernels-lavapipe', 'lavapipe', [...gpuTests, sharedGolden]),
      onAdapter('kernels-swiftshader', 'swiftshader', gpuTests),
      onAdapter('long-swiftshader', 'swiftshader', [sharedGolden]),
      { extends: true, test: { name: 'long', include: ['tests/long/**/*.test.ts'], testTimeout: 1_800_000 } },
    ],
  },
})
