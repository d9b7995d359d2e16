// The rule lives in formats, since adapter files need it there; model and sdk code finds it here.
export { normaliseTensorName } from '../formats/tensor-names.js'
