/** The element of the page with this id. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id)
  if (!(found instanceof type)) throw new Error(`The page has no ${type.name} with the id "${id}".`)
  return found
}

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

/** The value of the checked radio button of this name. */
export function checkedValue(name: string): string {
  return document.querySelector<HTMLInputElement>(`input[name="${name}"]:checked`)?.value ?? ''
}

/** Not the attribute `disabled`: a button that has the focus would lose it. Handlers ask `isOn`. */
export function setOn(button: HTMLButtonElement, on: boolean): void {
  button.setAttribute('aria-disabled', String(!on))
}

export function isOn(button: HTMLButtonElement): boolean {
  return button.getAttribute('aria-disabled') !== 'true'
}
