import { findFirefox } from '../../src/node/browsers.js'
import { describeGoldenRuns } from '../browser/golden-runs.js'

describeGoldenRuns('firefox', findFirefox(), ['tinystories-656k'])
