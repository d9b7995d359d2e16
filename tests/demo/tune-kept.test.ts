import 'fake-indexeddb/auto'
import { createStore, get, set } from 'idb-keyval'
import { expect, it, vi } from 'vitest'
import { drop, type Kept, keep, recall } from '../../demo/tune/kept.js'

// It looks for its places on the page.
vi.mock('../../demo/messages.js', () => ({ warn: () => undefined }))

it('forgets after a reload what the library keeps of the run, too', async () => {
  const runs = createStore('skipstone-tuning', 'runs')
  await set('a run', { step: 25 }, runs)
  await keep({ key: 'a run', steps: 25, total: 40, before: undefined } as unknown as Kept)
  await drop(await recall())
  expect(await recall()).toBeUndefined()
  expect(await get('a run', runs)).toBeUndefined()
})
