import { findChromium } from '../../src/node/browsers.js'
import { describeGoldenRuns } from '../browser/golden-runs.js'
import { SHARED_MODELS } from '../golden/cases.js'

describeGoldenRuns('chromium', findChromium(), SHARED_MODELS)
