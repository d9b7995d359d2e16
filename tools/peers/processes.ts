import { readdirSync, readFileSync } from 'node:fs'

/** The processes below one on Linux, by id; none on other systems. */
export function descendants(root: number): number[] {
  const children = new Map<number, number[]>()
  for (const pid of processes()) {
    // The name before the parent's number is in parentheses and may hold anything.
    const parent = Number(/^.*\) \S (\d+)/s.exec(readProcess(pid, 'stat'))?.[1])
    children.set(parent, [...(children.get(parent) ?? []), pid])
  }
  const below = (pid: number): number[] => (children.get(pid) ?? []).flatMap((child) => [child, ...below(child)])
  return below(root)
}

/** What Linux tells of a process; nothing where it is gone. */
export function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}

function processes(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
  } catch {
    return []
  }
}
