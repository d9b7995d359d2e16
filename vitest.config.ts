import { defineConfig } from 'vitest/config'

/** Kernels: the same files on every software adapter. */
const gpuTests = ['tests/kernels/**/*.test.ts', 'tests/gpu/**/*.test.ts']

/**
 * What takes minutes runs on the adapter that is faster with it, and on the other as a long test: lavapipe takes long to compile shaders,
 * so that what has many shapes is faster on SwiftShader, and what computes much is faster on lavapipe.
 */
const tests = (room: string, ...names: string[]) => names.map((name) => `tests/${room}/${name}.test.ts`)
const fasterOn = {
  lavapipe: tests('golden', 'shared', 'pebble'),
  swiftshader: tests('golden', 'own', 'gguf'),
}
/** Pages that train or measure for minutes; of a page that others use too, only what takes long. */
const longPages = tests('browser', 'tune')
const partlyLong = tests('browser', 'compare')
const goldenOps = tests('kernels', 'golden-ops')

const onAdapter = (name: string, adapter: 'lavapipe' | 'swiftshader', include: string[], exclude: string[] = []) => ({
  extends: true as const,
  test: { name, include, exclude: ['node_modules/**', ...exclude], env: { SKIPSTONE_TEST_ADAPTER: adapter } },
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
            ...['tests/long/**', 'node_modules/**', ...gpuTests],
            ...[...fasterOn.lavapipe, ...fasterOn.swiftshader, ...longPages],
          ],
        },
      },
      onAdapter('kernels-lavapipe', 'lavapipe', [...gpuTests, ...fasterOn.lavapipe], goldenOps),
      onAdapter('kernels-swiftshader', 'swiftshader', [...gpuTests, ...fasterOn.swiftshader]),
      onAdapter('long-lavapipe', 'lavapipe', [...fasterOn.swiftshader, ...goldenOps]),
      onAdapter('long-swiftshader', 'swiftshader', fasterOn.lavapipe),
      {
        extends: true,
        test: {
          name: 'long',
          include: ['tests/long/**/*.test.ts', ...longPages, ...partlyLong],
          env: { SKIPSTONE_LONG: '1' },
          testTimeout: 1_800_000,
        },
      },
    ],
  },
})
