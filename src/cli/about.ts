/** The version of this package. */
export { version } from '../model/version.js'
