import { findChromium } from '../../src/node/browsers.js'
import { describeGoldenRuns } from './golden-runs.js'

describeGoldenRuns('chromium', findChromium())
