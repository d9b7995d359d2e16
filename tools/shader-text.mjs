/** A plugin for Vite: shaders are text to a minifier, so what a GPU does not read goes here. */
export const shaderText = {
  name: 'shader-text',
  enforce: 'pre',
  transform: (code, id) =>
    id.includes('/shaders/')
      ? code
          .replace(/^[ \t]+/gm, '')
          .replace(/^\/\/.*\n/gm, '')
          // Lines of the preprocessor stay lines.
          .replace(/([;{,])\n(?![#$\n])/g, '$1')
          .replace(/ ?([=*,;{}():<>+|&]+) ?/g, '$1')
      : null,
}
