import { findChromium } from '../../src/node/browsers.js'
import { describeGoldenRuns } from '../browser/golden-runs.js'

describeGoldenRuns('chromium', findChromium(), ['tinystories-656k'])
