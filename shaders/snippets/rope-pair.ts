import { eps } from './norm.js'

export interface RopePairOptions {
  readonly headDim: number
  /** RMSNorm over the head first (Qwen3). */
  readonly qkNorm: boolean
  readonly eps: number
  /** The f32 buffer that is read from `origin` on. */
  readonly source: string
}

/** WGSL: `scale`, by which the values of a head at `origin` are multiplied. */
export function headScale({ headDim, qkNorm, eps: epsilon, source }: RopePairOptions): string {
  if (!qkNorm) return 'let scale = 1.0;'
  return `var squares = 0.0;
  for (var c = 0u; c < bound(${headDim}u); c++) { let v = ${source}[origin + c]; squares += v * v; }
  let scale = 1.0 / sqrt(squares / ${headDim}.0 + ${eps(epsilon)});`
}

/**
 * WGSL: `a` and `b`, values `c` and `c + headDim / 2` of the head with its norm, and `cosine` and `sine` of their rotation at `position`
 * (rotate-half RoPE, Su et al. 2021). Needs `rope`, and norm weights in `vectors` at `params.norm`, in units of 4.
 */
export function ropePair({ headDim, qkNorm, source }: RopePairOptions): string {
  const half = headDim / 2
  const weight = (at: string) => (qkNorm ? ` * vectors[params.norm + (${at}) / 4u][(${at}) % 4u]` : '')
  return `let a = ${source}[origin + c] * scale${weight('c')};
    let b = ${source}[origin + ${half}u + c] * scale${weight(`c + ${half}u`)};
    let cosine = rope[position * ${headDim}u + c];
    let sine = rope[position * ${headDim}u + ${half}u + c];`
}
