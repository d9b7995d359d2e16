import { findFirefox } from '../../src/node/browsers.js'
import { describeGoldenRuns } from './golden-runs.js'

// The other model takes minutes: it is a long test.
describeGoldenRuns('firefox', findFirefox(), ['stories260k'])
