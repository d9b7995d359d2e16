/** A new element with a class and a text. */
export function create<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  { className = '', text = '' } = {},
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  if (className) element.className = className
  if (text) element.textContent = text
  return element
}

/** A new SVG element with attributes. */
export function createSvg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | number>> = {},
): SVGElementTagNameMap[K] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value))
  return element
}

export function createButton(text: string, onClick: () => void, label = text): HTMLButtonElement {
  const button = create('button', { text })
  button.type = 'button'
  if (label !== text) button.setAttribute('aria-label', label)
  button.addEventListener('click', () => {
    if (button.getAttribute('aria-disabled') !== 'true') onClick()
  })
  return button
}

/** Not the attribute `disabled`: a button that has the focus would lose it. */
export function setOn(button: HTMLButtonElement, on: boolean): void {
  button.setAttribute('aria-disabled', String(!on))
}

export function header(text: string, scope: 'row' | 'col'): HTMLTableCellElement {
  const cell = create('th', { text })
  cell.scope = scope
  return cell
}

/** Something that scrolls has to be reachable by keyboard, and then needs a name. */
export function scrollRegion(label: string, className: string): HTMLElement {
  const region = create('section', { className })
  region.tabIndex = 0
  region.setAttribute('aria-label', label)
  return region
}

/** Leaves the text alone where it is the same, so that live regions and layout are not disturbed. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}
