// The page of long/gradients-browsers.test.ts: steps of the golden data by a page's own device.
import { GpuDevice } from '../../src/gpu/device.js'
import { type GoldenCase, type GoldenGradients, GoldenSteps } from '../tuning/golden-step.js'

/** gradients.json, and its tensors, floats and whole numbers alike, as plain data. */
export interface PageGolden {
  golden: GoldenGradients
  tensors: { name: string; shape: number[]; values: number[] }[]
}

/** What a step came to. */
export interface PageStep {
  losses: { crossEntropy: number; executeRate: number; loss: number }
  gates: number[]
  gradients: [name: string, values: number[]][]
}

async function take({ golden, tensors }: PageGolden, name: GoldenCase): Promise<PageStep> {
  const known = new Map(tensors.map(({ name, shape, values }) => [name, { shape, data: Float32Array.from(values) }]))
  const device = await GpuDevice.open({})
  const taken: PageStep[] = []
  await new GoldenSteps(golden, known).take(device, name, 97, async ({ losses, step, parameters }) => {
    const gradients = await parameters.read(parameters.gradients as GPUBuffer)
    taken.push({
      losses,
      gates: [...(await step.gates())],
      gradients: [...gradients].map(([name, values]) => [name, [...values]]),
    })
  })
  device.destroy()
  return taken[0] as PageStep
}

Object.assign(globalThis, { skipstoneHost: { take: ([golden, name]: [PageGolden, GoldenCase]) => take(golden, name) } })
