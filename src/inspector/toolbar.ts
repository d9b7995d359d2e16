import { create, createButton, setOn } from './dom.js'

export interface ToolbarActions {
  json(): void
  csv(): void
  png(): void
  open(file: File): void
}

/** Buttons that save and open. */
export class Toolbar {
  readonly root = create('div', { className: 'buttons' })
  readonly #exports: readonly HTMLButtonElement[]

  constructor(actions: ToolbarActions) {
    const input = create('input')
    input.type = 'file'
    input.accept = '.json,application/json'
    input.hidden = true
    input.setAttribute('aria-label', 'Trace file')
    input.addEventListener('change', () => {
      const [file] = input.files ?? []
      // So that the same file can be picked again.
      if (file) actions.open(file)
      input.value = ''
    })
    this.#exports = [
      createButton('JSON', actions.json, 'Export JSON'),
      createButton('CSV', actions.csv, 'Export CSV'),
      createButton('PNG', actions.png, 'Export PNG'),
    ]
    this.root.setAttribute('role', 'group')
    this.root.setAttribute('aria-label', 'Files')
    this.root.append(create('span', { text: 'Export' }), ...this.#exports)
    this.root.append(
      createButton('Open trace', () => input.click()),
      input,
    )
  }

  setOn(on: boolean): void {
    for (const button of this.#exports) setOn(button, on)
  }
}

/** Hands a file to the reader. */
export function download(blob: Blob, name: string): void {
  const link = create('a')
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  // Not at once: the browser reads the address after this task.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

/** A title as the name of a file. */
export function fileName(title: string, extension: string): string {
  const name = title
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60)
  return `${name || 'trace'}.${extension}`
}
