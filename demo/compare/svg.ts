const SVG = 'http://www.w3.org/2000/svg'

/** A new SVG element. Looks come from classes: the page allows no inline styles. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | number>> = {},
  text = '',
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value))
  if (text !== '') element.textContent = text
  return element
}
