import { describe, it } from 'vitest'
import { findChromium } from '../../src/node/browsers.js'
import { downloadUnderKills } from '../browser/kill-downloads.js'

describe.skipIf(findChromium() === undefined && process.env.CI === undefined)('a download of 200 MB', () => {
  it('completes in a browser that is killed 20 times', () => downloadUnderKills(20, 200_000_000), 1_800_000)
})
