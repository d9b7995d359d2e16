import type { MatvecForm } from '../../shaders/snippets/matvec.js'
import type { Form } from '../gpu/forms.js'
import { KERNEL_FORMS, type KernelForms, type Matrix } from './forms.js'

/** Forms that are chosen only where they turned out to be the fastest: the products by subgroups with other groups. */
export const FORM_VARIANTS: readonly Form<KernelForms>[] = KERNEL_FORMS.filter(
  ({ name }) => name === 'subgroup-rows',
).flatMap((form) => [
  variant(form, 'subgroup-rows-32', (plain) => ({ ...plain, lanes: 32, workgroup: 32 })),
  variant(form, 'subgroup-rows-128', (plain) => ({ ...plain, lanes: 128, workgroup: 128 })),
  variant(form, 'subgroup-rows-more', (plain, { parts }) => ({
    ...plain,
    rowsPerSlot: Math.min(8 / parts, 2 * plain.rowsPerSlot),
  })),
])

function variant(
  { value, ...form }: Form<KernelForms>,
  name: string,
  change: (plain: MatvecForm, matrix: Matrix) => MatvecForm,
): Form<KernelForms> {
  return { ...form, name, value: { ...value, matvec: (matrix) => change(value.matvec(matrix), matrix) } }
}
