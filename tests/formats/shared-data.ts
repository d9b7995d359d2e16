import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

// The reference data lies beside the checkout, not in it; tests that need it report as not run where it is absent.
const root = fileURLToPath(new URL('../../../shared', import.meta.url))

export const hasShared = existsSync(root)

export const sharedPath = (path: string): string => `${root}/${path}`

export const readShared = (path: string): Uint8Array => new Uint8Array(readFileSync(sharedPath(path)))

export const readSharedJson = (path: string): unknown => JSON.parse(readFileSync(sharedPath(path), 'utf8'))
