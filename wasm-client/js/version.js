/** The version of this package; the build checks that it is that of the workspace. */
export const VERSION = "0.1.0";
