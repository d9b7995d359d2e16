import { GGML_BLOCKS, type GgmlBlock } from './gguf-blocks.js'

/** A tensor type of GGUF files. */
export interface GgmlType extends GgmlBlock {
  /** As ggml names it, without the prefix. */
  readonly name: string
}

/**
 * Every tensor type by its number in files, also those that are not read: with its size a file can be checked, and with its name
 * a message can say what is wrong. Numbers from `enum ggml_type` of ggml.h; left out are those that no GGUF file ever had.
 */
export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map([
  [0, { name: 'F32', ...GGML_BLOCKS.F32 }],
  [1, { name: 'F16', ...GGML_BLOCKS.F16 }],
  [2, { name: 'Q4_0', ...GGML_BLOCKS.Q4_0 }],
  [3, { name: 'Q4_1', values: 32, bytes: 20 }],
  [6, { name: 'Q5_0', values: 32, bytes: 22 }],
  [7, { name: 'Q5_1', values: 32, bytes: 24 }],
  [8, { name: 'Q8_0', ...GGML_BLOCKS.Q8_0 }],
  [9, { name: 'Q8_1', values: 32, bytes: 36 }],
  [10, { name: 'Q2_K', values: 256, bytes: 84 }],
  [11, { name: 'Q3_K', values: 256, bytes: 110 }],
  [12, { name: 'Q4_K', ...GGML_BLOCKS.Q4_K }],
  [13, { name: 'Q5_K', ...GGML_BLOCKS.Q5_K }],
  [14, { name: 'Q6_K', ...GGML_BLOCKS.Q6_K }],
  [15, { name: 'Q8_K', values: 256, bytes: 292 }],
  [16, { name: 'IQ2_XXS', values: 256, bytes: 66 }],
  [17, { name: 'IQ2_XS', values: 256, bytes: 74 }],
  [18, { name: 'IQ3_XXS', values: 256, bytes: 98 }],
  [19, { name: 'IQ1_S', values: 256, bytes: 50 }],
  [20, { name: 'IQ4_NL', values: 32, bytes: 18 }],
  [21, { name: 'IQ3_S', values: 256, bytes: 110 }],
  [22, { name: 'IQ2_S', values: 256, bytes: 82 }],
  [23, { name: 'IQ4_XS', values: 256, bytes: 136 }],
  [24, { name: 'I8', values: 1, bytes: 1 }],
  [25, { name: 'I16', values: 1, bytes: 2 }],
  [26, { name: 'I32', values: 1, bytes: 4 }],
  [27, { name: 'I64', values: 1, bytes: 8 }],
  [28, { name: 'F64', values: 1, bytes: 8 }],
  [29, { name: 'IQ1_M', values: 256, bytes: 56 }],
  [30, { name: 'BF16', ...GGML_BLOCKS.BF16 }],
  [31, { name: 'Q4_0_4_4', values: 32, bytes: 18 }],
  [32, { name: 'Q4_0_4_8', values: 32, bytes: 18 }],
  [33, { name: 'Q4_0_8_8', values: 32, bytes: 18 }],
  [34, { name: 'TQ1_0', values: 256, bytes: 54 }],
  [35, { name: 'TQ2_0', values: 256, bytes: 66 }],
  [39, { name: 'MXFP4', values: 32, bytes: 17 }],
  [40, { name: 'NVFP4', values: 64, bytes: 36 }],
  [41, { name: 'Q1_0', values: 128, bytes: 18 }],
])
