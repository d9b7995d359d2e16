declare module 'wgsl-preprocessor/wgsl-preprocessor.js' {
  /** Template tag with `#if ${condition}`, `#elif ${condition}`, `#else`, `#endif`. */
  export function wgsl(strings: TemplateStringsArray, ...values: readonly unknown[]): string
}
