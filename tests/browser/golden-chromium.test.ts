import { findChromium } from '../../src/node/browsers.js'
import { describeGoldenRuns } from './golden-runs.js'

// The other model takes minutes: it is a long test.
describeGoldenRuns('chromium', findChromium(), ['stories260k'])
