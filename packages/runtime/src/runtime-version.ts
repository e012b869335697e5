/** Version of this package; a test holds it to `package.json`. */
export const runtimeVersion = "0.1.0";
