import path from 'node:path'

/**
 * A path as the user meant it: relative to the folder they called from. `npm run` changes into the package's folder first
 * and leaves the caller's in INIT_CWD.
 */
export function resolveUserPath(userPath: string): string {
  return path.resolve(process.env.INIT_CWD ?? process.cwd(), userPath)
}
