import { createStore, del, get, set, type UseStore } from 'idb-keyval'
import { forgetRun } from '../../src/index.js'
import { warn } from '../messages.js'
import type { TuneRequest } from './request.js'

/** What the page remembers of its last run. What the run has reached, the library keeps itself. */
export interface Kept {
  readonly request: TuneRequest
  /** Under which the library keeps what it has reached. Earlier pages did not note it. */
  readonly key?: string
  /** Steps that the page has seen, and those that there will be. */
  readonly steps: number
  readonly total: number
  /** Routers that were trained on this page before the run began, and with which it began. */
  readonly before: Uint8Array<ArrayBuffer> | undefined
}

const STATE = 'state'
let opened: UseStore | undefined

function store(): UseStore {
  opened ??= createStore('skipstone-tune-page', 'state')
  return opened
}

/** Undefined where nothing is kept, or the database cannot be read. */
export async function recall(): Promise<Kept | undefined> {
  try {
    return await get<Kept>(STATE, store())
  } catch {
    return undefined
  }
}

/** Where there is no room, training goes on, and the page says so. */
export async function keep(kept: Kept): Promise<void> {
  try {
    await set(STATE, kept, store())
  } catch (error) {
    const full = error instanceof Error && error.name === 'QuotaExceededError'
    const why = full ? 'The browser has no room to keep this run' : 'The browser could not keep this run'
    warn(`${why}: a reload cannot go on with it. Download what there is before you leave the page.`)
  }
}

/** Also what the library keeps: after a reload there is no run that could be asked to. */
export async function drop(kept: Kept | undefined): Promise<void> {
  if (kept?.key !== undefined) await forgetRun(kept.key)
  await del(STATE, store()).catch(() => undefined)
}
