/** WGSL for the factor of attention's scores, 1 / sqrt(headDim). */
export function scoreScale(headDim: number): string {
  return `${(1 / Math.sqrt(headDim)).toPrecision(9)}f`
}
