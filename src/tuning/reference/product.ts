/** A matrix inside an array: element (i, j) lies at `at + i · row + j · column`. */
export interface MatrixView {
  readonly values: ArrayLike<number>
  readonly at?: number
  readonly row: number
  readonly column: number
}

/** `c[i,j] = alpha · sum_t a[i,t] b[t,j]` -> [m, n] row-major. */
export function product(a: MatrixView, b: MatrixView, m: number, n: number, k: number, alpha = 1): Float64Array {
  const element = (x: MatrixView, i: number, j: number) => x.values[(x.at ?? 0) + i * x.row + j * x.column]!
  const c = new Float64Array(m * n)
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      for (let t = 0; t < k; t++) c[i * n + j]! += alpha * element(a, i, t) * element(b, t, j)
    }
  }
  return c
}
