/** A float literal that WGSL accepts, for values such as 1e-5. */
export function eps(value: number): string {
  return `${value.toExponential()}f`
}
