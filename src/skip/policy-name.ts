/** A policy as the command line writes it, with the options that are not ''. */
export function named(policy: string, options: readonly string[]): string {
  const given = options.filter((option) => option !== '')
  return given.length > 0 ? `${policy}:${given.join(',')}` : policy
}
