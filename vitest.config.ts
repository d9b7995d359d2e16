import { defineConfig } from 'vitest/config'

/** Kernels, and golden runs of whole models: the same files on every software adapter. */
const gpuTests = ['tests/kernels/**/*.test.ts', 'tests/gpu/**/*.test.ts', 'tests/golden/{own,shared}.test.ts']

const onAdapter = (adapter: 'lavapipe' | 'swiftshader') => ({
  extends: true as const,
  test: { name: `kernels-${adapter}`, include: gpuTests, env: { SKIPSTONE_TEST_ADAPTER: adapter } },
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
          exclude: ['tests/long/**', 'node_modules/**', ...gpuTests],
        },
      },
      onAdapter('lavapipe'),
      onAdapter('swiftshader'),
      { extends: true, test: { name: 'long', include: ['tests/long/**/*.test.ts'], testTimeout: 1_800_000 } },
    ],
  },
})
