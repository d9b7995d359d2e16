/*
 * llama.cpp rotates components 2b and 2b + 1 of a head as a pair for the architecture llama, Hugging Face b and b + D/2 for
 * all. Its converter therefore moves the rows of llama's Q and K projections (weights and biases); the other architectures
 * keep them.
 */

/** Whether a tensor of a GGUF file has its rows in the interleaved order. `architecture` is `general.architecture`. */
export function hasInterleavedRows(architecture: string, ggufName: string): boolean {
  return architecture === 'llama' && /^blk\.\d+\.attn_[qk]\.(weight|bias)$/.test(ggufName)
}

/** For each row of a Hugging Face Q or K projection the row of the interleaved one; both count rows over all heads. `headDim` is even. */
export function ggufRowSource(headDim: number): (row: number) => number {
  const half = headDim / 2
  return (row) => {
    const inHead = row % headDim
    return row - inHead + (inHead < half ? 2 * inHead : 2 * (inHead - half) + 1)
  }
}
