import { describe, expect, it } from 'vitest'
import type { WeightDtype } from '../../shaders/snippets/weights.js'
import { candidates, canRun, chooseForm, type Form } from '../../src/gpu/forms.js'
import { ReadbackRing } from '../../src/gpu/readback.js'
import { KERNEL_FORMS, type KernelForms } from '../../src/kernels/forms.js'
import { packedForm, packedGivesRightResults } from '../../src/kernels/packed-forms.js'
import { formsGiveRightResults, type SelfTestOptions } from '../../src/kernels/self-test.js'
import { chooseActivations } from '../../src/runtime/activations.js'
import { distinctForms } from '../fixtures/distinct-forms.js'
import { gpuSuite, range, settled } from './testing.js'

gpuSuite('forms', (bench) => {
  const form = (name: string, o: Partial<Form<string>> = {}): Form<string> => ({
    name,
    requires: [],
    suits: () => true,
    value: name,
    ...o,
  })

  describe('chooseForm', () => {
    it('leaves out forms whose features the device lacks, and tries those that suit it first', async () => {
      const forms = [
        form('needs what is not there', { requires: ['bgra8unorm-storage'] }),
        form('needs other subgroups', { subgroupSize: 1 + (bench.gpu.subgroupSize ?? 0) }),
        form('for others', { suits: (gpu) => gpu !== bench.gpu }),
        form('for this one', { suits: (gpu) => gpu === bench.gpu }),
      ]
      expect(bench.gpu.features.has('bgra8unorm-storage')).toBe(false)
      expect(candidates(bench.gpu, forms).map((f) => f.name)).toEqual(['for this one', 'for others'])
      const choice = await chooseForm(bench.gpu, 'test', forms, async () => true)
      expect(choice).toEqual({ form: forms[3], rejected: [] })
    })

    it('steps over forms that fail their self-test and says which', async () => {
      const forms = [form('wrong'), form('does not compile'), form('right'), form('never tried')]
      const tried: string[] = []
      const choice = await chooseForm(bench.gpu, 'test', forms, async (value) => {
        tried.push(value)
        if (value === 'does not compile') throw new Error('no')
        return value === 'right'
      })
      expect(choice.form.name).toBe('right')
      expect(choice.rejected).toEqual(['wrong', 'does not compile'])
      expect(tried).toEqual(['wrong', 'does not compile', 'right'])
    })

    it('fails where no form is left', async () => {
      const cause = new Error('no')
      const choice = chooseForm(bench.gpu, 'some-kernel', [form('first'), form('second')], () => Promise.reject(cause))
      await expect(choice).rejects.toMatchObject({
        name: 'SkipstoneError',
        code: 'internal',
        message: expect.stringMatching(/some-kernel.*first, second/),
        cause,
      })
    })
  })

  describe('the self-test of the kernels', () => {
    const serial = KERNEL_FORMS.find(({ name }) => name === 'serial-rows')!
    const shared = KERNEL_FORMS.find(({ name }) => name === 'shared-rows')!

    const model = (dtype: WeightDtype): SelfTestOptions => ({
      heads: 6,
      kvHeads: 2,
      headDim: 8,
      rows: 'all',
      keysValues: { k4: 19, n: 75, dtype, bias: true },
      head: { d: 74, k4: 19, vocab: 101, eps: 1e-5, dtype },
    })
    const plain = model('f32')

    it.for(KERNEL_FORMS)('passes $name', async (form, { skip }) => {
      skip(!canRun(form, bench.gpu), 'the device has no such subgroups')
      const { value } = form
      expect(await formsGiveRightResults(bench.gpu, value, plain)).toBe(true)
      // The smallest tiles alone, which compile sooner. Of the last dtype a small matrix in f32 is tested, as of models with large ones.
      const small = { ...value, gemms: value.gemms.filter(({ along }) => !along).slice(-1) }
      for (const dtype of ['f16', 'bf16', 'q8', 'q4', 'q4_k'] as const)
        expect(await formsGiveRightResults(bench.gpu, small, model(dtype)), dtype).toBe(true)
      const large = {
        ...plain,
        keysValues: { ...plain.keysValues, n: 1 << 20 },
        head: { ...plain.head, vocab: 1 << 20 },
      }
      expect(await formsGiveRightResults(bench.gpu, small, { ...large, rows: 'active' })).toBe(true)
    })

    it.each(distinctForms(KERNEL_FORMS, 'matvec').map(packedForm))('passes $name', async ({ value }) => {
      expect(await packedGivesRightResults(bench.gpu, value)).toBe(true)
    })

    it('keeps activations in f32 where products in 8 bits are wrong, and says why', async () => {
      // The lanes of a row are not all added.
      const matvec: KernelForms['matvec'] = (m) => ({ ...shared.value.matvec(m), lanes: 6, workgroup: 66 })
      const plain = { ...shared, value: { ...shared.value, matvec } }
      const dtypes = { layers: [], embedding: 'q8', head: 'q8' } as const
      expect(await chooseActivations('q8', bench.gpu, dtypes, { form: plain, rejected: ['other'] })).toEqual({
        choice: { form: plain, rejected: ['other', 'shared-rows-packed'] },
        activations: 'f32',
        warning: expect.stringMatching(/^Activations stay f32: .*wrong results/),
      })
    })

    it.each<[string, Partial<KernelForms>]>([
      // Half of the columns of a tile are never computed.
      ['gemm', { gemms: [{ ...serial.value.gemms[0]!, columns: 3.5 }] }],
      // The lanes of a row are not all added.
      ['matvec', { matvec: (m) => ({ ...shared.value.matvec(m), lanes: 6, workgroup: 66 }) }],
      // A loop that starts at 1.5u: no shader at all.
      ['uncompilable', { matvec: (m) => ({ ...shared.value.matvec(m), lanes: 3, workgroup: 63 }) }],
    ])('rejects a broken %s form, which is then stepped over', async (_, broken) => {
      const forms: Form<KernelForms>[] = [
        { ...serial, name: 'broken', value: { ...serial.value, ...broken } },
        { ...serial, name: 'sound' },
      ]
      const choice = await chooseForm(bench.gpu, 'matrix', forms, (value) =>
        formsGiveRightResults(bench.gpu, value, plain),
      )
      expect(choice.form.name).toBe('sound')
      expect(choice.rejected).toEqual(['broken'])
    })
  })

  describe('pipelines', () => {
    it('compiles each shader once', async () => {
      const code = '@compute @workgroup_size(1) fn main() {}'
      const { pipelines } = bench.gpu
      expect(await pipelines.compile('one', code, [])).toBe(await pipelines.compile('two', code, []))
    })

    it('names the line of a mistake in a shader', async () => {
      const code = '@compute @workgroup_size(1)\nfn main() {\n  let a = nothing;\n}\n'
      await expect(bench.gpu.pipelines.compile('wrong', code, [])).rejects.toMatchObject({
        name: 'SkipstoneError',
        code: 'internal',
        message: expect.stringMatching(/wrong.*3:11.*nothing/s),
      })
    })
  })

  describe('memory', () => {
    it('counts the bytes of live buffers, rounded up to 16', () => {
      const { memory } = bench.gpu
      const before = memory.bytes
      const small = memory.storage('small', 1)
      const large = memory.upload('large', new Uint8Array(33))
      expect(memory.bytes - before).toBe(16 + 48)
      memory.destroy(small)
      memory.destroy(small)
      expect(memory.bytes - before).toBe(48)
      memory.destroy(large)
      expect(memory.bytes).toBe(before)
    })

    it('refuses what does not fit into one binding', () => {
      const { memory, device } = bench.gpu
      const before = memory.bytes
      const make = () => memory.storage('huge', device.limits.maxStorageBufferBindingSize + 16)
      expect(make).toThrow(expect.objectContaining({ code: 'out-of-memory', message: expect.stringMatching(/huge/) }))
      expect(memory.bytes).toBe(before)
    })

    it('takes an odd number of bytes', async () => {
      const buffer = bench.upload(Uint8Array.of(1, 2, 3, 4, 5))
      expect([...(await bench.words(buffer))]).toEqual([0x04030201, 5])
    })
  })

  describe('read-back', () => {
    it('uses its buffers again, and grows one instead of keeping two', async () => {
      const { gpu } = bench
      const source = bench.upload(Uint32Array.from(range(2048)))
      const ring = new ReadbackRing(gpu)
      const before = gpu.memory.bytes
      const record = (offset: number, size: number) => {
        const encoder = gpu.device.createCommandEncoder()
        const read = ring.record(encoder, source, offset, size)
        gpu.device.queue.submit([encoder.finish()])
        return read
      }
      expect([...(await record(8, 16)())]).toEqual([2, 3, 4, 5])
      expect([...(await record(0, 8)())]).toEqual([0, 1])
      // Small ones have the least size.
      expect(gpu.memory.bytes - before).toBe(4096)

      // Two at a time need two buffers; results keep their order.
      const [first, second] = [record(0, 16), record(16, 16)]
      expect([...(await second())]).toEqual([4, 5, 6, 7])
      expect([...(await first())]).toEqual([0, 1, 2, 3])
      expect(gpu.memory.bytes - before).toBe(2 * 4096)

      expect((await record(0, 8192)()).length).toBe(2048)
      expect(gpu.memory.bytes - before).toBe(4096 + 8192)
      expect(ring.waits).toBe(5)
      ring.destroy()
      expect(gpu.memory.bytes).toBe(before)
      await settled(gpu)
    })
  })
})
