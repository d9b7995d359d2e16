import { expect, it, vi } from 'vitest'
import { FORM_VARIANTS } from '../../src/kernels/form-variants.js'
import { KERNEL_FORMS } from '../../src/kernels/forms.js'
import { fastestForm } from '../../src/runtime/fastest-form.js'
import { chooseTarget } from '../../src/runtime/target.js'
import { describeRuntime } from './support.js'

describeRuntime('the fastest form', (bench) => {
  /** As on a device that is no software. */
  const onGpu = async <T>(use: () => Promise<T>): Promise<T> => {
    const { gpu } = bench().engine
    const software = vi.spyOn(gpu, 'isSoftware', 'get').mockReturnValue(false)
    try {
      return await use()
    } finally {
      software.mockRestore()
    }
  }
  const names = [...KERNEL_FORMS, ...FORM_VARIANTS].map(({ name }) => name)

  it('is one of those that give right results, and nothing stays of the search', async () => {
    const { target, gpu } = bench().engine
    const bytes = gpu.memory.bytes
    expect(names).toContain(await onGpu(() => fastestForm(target)))
    expect(gpu.memory.bytes).toBe(bytes)
  })

  it('is the one that takes the least time, if that is worth it', async () => {
    const { target } = bench().engine
    const release = vi.fn()
    const among = (times: Readonly<Record<string, number>>) =>
      onGpu(() =>
        fastestForm(target, async (_, forms) => {
          expect(forms.map(({ name }) => name)).toEqual(expect.arrayContaining(['subgroup-rows', 'subgroup-rows-32']))
          let round = 0
          const measures = forms.map(({ name }, i) => async () => {
            if (i === 0) round++
            // The first round counts for nothing, and one slow run does not either.
            return round === 1 ? 1 : round === 3 ? 100 : (times[name] ?? 10)
          })
          return { measures, release }
        }),
      )
    const listed = target.choice.form.name
    expect(await among({ 'subgroup-rows-32': 9 })).toBe('subgroup-rows-32')
    expect(await among({ 'subgroup-rows-32': 9.9 })).toBe(listed)
    expect(await among({})).toBe(listed)
    expect(release).toHaveBeenCalledTimes(3)
  })

  it('comes first in later loads, and a name that nobody knows changes nothing', async () => {
    const { gpu, weights, target, shape } = bench().engine
    const choose = (kept: string) => chooseTarget(gpu, shape.config, weights.dtypes, 'all', { kept })
    await onGpu(async () => {
      for (const kept of ['shared-rows', 'subgroup-rows-32', 'subgroup-rows-128', 'subgroup-rows-more'])
        expect((await choose(kept)).choice.form.name).toBe(kept)
    })
    expect((await choose('no-such-form')).choice.form.name).toBe(target.choice.form.name)
  })
})
