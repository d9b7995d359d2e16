import type { Splits } from '../../shaders/snippets/splits.js'
import type { Target } from './target.js'

/** How decode attention cuts the context on this device. */
export function decodeSplits({ shape, choice }: Target): Splits {
  const { tile, least } = choice.form.value.attention
  return { most: shape.splits, tile, least }
}
