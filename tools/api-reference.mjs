// Writes the API reference: every public name of the package's entries with its docstring and its declaration, as Markdown.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parseSync } from 'vite'

/** @param entries the package's entries: import name and path of the `.d.ts`. @returns Markdown. */
export function apiReference(entries) {
  const known = new Set()
  const sections = entries.map(({ name, types }) => {
    const own = [...exportsOf(types)].filter(([, { file, local }]) => !known.has(`${file} ${local}`))
    for (const [, { file, local }] of own) known.add(`${file} ${local}`)
    const parts = own.sort(([a], [b]) => (a < b ? -1 : 1)).map(([exported, found]) => section(exported, found))
    return `## \`${name}\`\n\n${parts.join('\n')}`
  })
  return `# API reference\n\nMade from the docstrings of the sources.\n\n${sections.join('\n')}`
}

/** Exported name -> the file and the name under which it is declared. */
function exportsOf(file) {
  const found = new Map()
  const { program } = parsed(file)
  const starred = new Map()
  for (const node of program.body) {
    if (node.type === 'ExportAllDeclaration') {
      for (const entry of exportsOf(resolved(file, node.source.value))) starred.set(...entry)
    } else if (node.type === 'ExportNamedDeclaration') {
      const from = node.source ? exportsOf(resolved(file, node.source.value)) : undefined
      for (const { local, exported } of node.specifiers) {
        found.set(exported.name, from?.get(local.name) ?? imported(file, program, local.name))
      }
      for (const name of declaredNames(node.declaration)) found.set(name, { file, local: name })
    }
  }
  // What is exported by name comes before what a star brings.
  return new Map([...starred, ...found])
}

/** What a name of `file` stands for that may have been imported there. */
function imported(file, program, name) {
  for (const node of program.body) {
    if (node.type !== 'ImportDeclaration') continue
    const specifier = node.specifiers.find(({ local }) => local.name === name)
    if (specifier) return exportsOf(resolved(file, node.source.value)).get(specifier.imported.name)
  }
  return { file, local: name }
}

function section(name, { file, local }) {
  const { text, comments, program } = parsed(file)
  const parts = program.body.flatMap((node) => {
    const declaration = node.type === 'ExportNamedDeclaration' ? node.declaration : node
    return declaredNames(declaration).includes(local) ? [{ node, declaration }] : []
  })
  if (parts.length === 0) throw new Error(`${file} does not declare ${local}`)
  const doc = parts.map(({ node }) => docBefore(text, comments, node.start)).find(Boolean) ?? ''
  const code = parts.map(({ declaration }) => text.slice(declaration.start, declaration.end)).join('\n')
  return `### \`${name}\`\n\n${doc}${doc && '\n\n'}\`\`\`ts\n${code}\n\`\`\`\n`
}

function declaredNames(declaration) {
  if (!declaration) return []
  if (declaration.type === 'VariableDeclaration') return declaration.declarations.map(({ id }) => id.name)
  return declaration.id ? [declaration.id.name] : []
}

/** The docstring that ends right before `start`, without its stars. */
function docBefore(text, comments, start) {
  const comment = comments.findLast(({ end }) => end <= start && text.slice(end, start).trim() === '')
  if (!comment?.value.startsWith('*')) return ''
  const lines = comment.value.slice(1).split('\n')
  return lines
    .map((line) => line.replace(/^\s*\*? ?/, ''))
    .join('\n')
    .trim()
    .replaceAll(/@throws/g, 'Throws')
}

const files = new Map()

function parsed(file) {
  if (!files.has(file)) {
    const text = readFileSync(file, 'utf8')
    files.set(file, { text, ...parseSync(file, text) })
  }
  return files.get(file)
}

function resolved(from, specifier) {
  const file = path.join(path.dirname(from), specifier.replace(/\.js$/, '.d.ts'))
  if (!existsSync(file)) throw new Error(`${from} refers to ${specifier}, which is not there`)
  return file
}
