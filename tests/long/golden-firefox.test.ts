import { findFirefox } from '../../src/node/browsers.js'
import { describeGoldenRuns } from '../browser/golden-runs.js'
import { SHARED_MODELS } from '../golden/cases.js'

describeGoldenRuns('firefox', findFirefox(), SHARED_MODELS)
