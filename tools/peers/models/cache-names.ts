/** Where keys and values of a layer come from and go to in the ONNX model. */
export const pastName = (layer: number, of: 'key' | 'value'): string => `past.${layer}.${of}`
export const presentName = (layer: number, of: 'key' | 'value'): string => `present.${layer}.${of}`
