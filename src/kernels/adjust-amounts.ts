/** Bytes of the uniform buffer of shaders/adjust-logits.wgsl.ts. */
export const AMOUNTS_BYTES = 16

/** Its contents: two f32, one u32. */
export function adjustAmounts(a: { presence: number; frequency: number; vocab: number }): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(AMOUNTS_BYTES))
  view.setFloat32(0, a.presence, true)
  view.setFloat32(4, a.frequency, true)
  view.setUint32(8, a.vocab, true)
  return view.buffer
}
