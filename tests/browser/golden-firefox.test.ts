import { findFirefox } from '../../src/node/browsers.js'
import { describeGoldenRuns } from './golden-runs.js'

describeGoldenRuns('firefox', findFirefox())
