import { choice, complement, type Expression, literal, optional, repeat, sequence } from './expression.js'
import { CHAR, spelled, stringContent } from './json-text.js'

interface Node {
  readonly children: Map<string, Node>
  isName: boolean
}

/**
 * Keys that are none of `names`: the walk leaves the names' common beginnings at a character that none of them has, or ends
 * where none of them does. Up to that point characters are spelled in one way, so that no name comes back as an escape.
 *
 * `define` makes rules, one for every beginning: names may be longer than recursion is deep.
 */
export function keysExcept(names: readonly string[], define: (body: Expression) => Expression): Expression {
  const root: Node = { children: new Map(), isName: false }
  for (const name of names) {
    let node = root
    for (const char of name) {
      const child = node.children.get(char) ?? { children: new Map(), isName: false }
      node.children.set(char, child)
      node = child
    }
    node.isName = true
  }
  const nodes = [root]
  for (const { children } of nodes) nodes.push(...children.values())

  // Children come after their parents in the list, so from its end their rules are there when they are asked for.
  const rules = new Map<Node, Expression>()
  for (const node of nodes.reverse()) {
    const taken = Array.from(node.children.keys(), (char) => [char.codePointAt(0)!, char.codePointAt(0)!] as const)
    const onward = Array.from(node.children, ([char, child]) =>
      sequence(literal(stringContent(char)), rules.get(child)!),
    )
    const away = sequence(spelled(complement(taken)), repeat(CHAR, 0, Number.POSITIVE_INFINITY))
    const body = choice(...onward, away)
    rules.set(node, define(node.isName ? body : optional(body)))
  }
  return sequence(literal('"'), rules.get(root)!, literal('"'))
}
