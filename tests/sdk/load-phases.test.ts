import { expect, it } from 'vitest'
import type { LoadPhase } from '../../src/index.js'
import { LoadPhases } from '../../src/sdk/load-phases.js'
import { describeSdk } from './support.js'

describeSdk.anywhere('the phases of a load', (bench) => {
  it('are told with their beginnings and ends', () => {
    const phases = bench().model.loadPhases
    expect(phases.map(({ name }) => name).sort()).toEqual(['config', 'device', 'pipelines', 'self-test', 'upload'])
    const of = (name: LoadPhase['name']) => phases.find((phase) => phase.name === name)!
    for (const { start, end } of phases) {
      expect(start).toBeGreaterThanOrEqual(0)
      expect(end).toBeGreaterThanOrEqual(start)
    }
    expect(phases.map(({ start }) => start)).toEqual(phases.map(({ start }) => start).sort((a, b) => a - b))
    // Nothing is chosen for a model that is not known, and nothing compiled before that.
    expect(of('self-test').start).toBeGreaterThanOrEqual(of('config').end)
    expect(of('pipelines').start).toBeGreaterThanOrEqual(of('self-test').end)
    expect(of('upload').start).toBeGreaterThanOrEqual(of('config').end)
  })
})

it('a check of what was downloaded counts apart', async () => {
  const clock = new LoadPhases()
  const told: string[] = []
  await clock.fetching(
    async (onProgress) => {
      onProgress?.({ phase: 'download', loaded: 1, total: 1 })
      await new Promise((resolve) => setTimeout(resolve, 5))
      onProgress?.({ phase: 'verify', loaded: 0, total: 1 })
      onProgress?.({ phase: 'verify', loaded: 1, total: 1 })
    },
    ({ phase }) => told.push(phase),
  )
  const [download, verify] = clock.done
  expect([download, verify]).toMatchObject([{ name: 'download' }, { name: 'verify', start: download!.end }])
  expect(verify!.end).toBeGreaterThanOrEqual(verify!.start)
  expect(told).toEqual(['download', 'verify', 'verify'])
  // Files that lie on a disk are not fetched, and what failed has not ended.
  await clock.fetching(() => undefined, undefined)
  await expect(clock.during('upload', Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(clock.done).toHaveLength(2)
})
