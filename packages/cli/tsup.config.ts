import { defineConfig } from "tsup";

/** The command as one file, for container images without node_modules. */
export default defineConfig({
  entry: { longshore: "packages/cli/src/main.ts" },
  outDir: "packages/cli/bundle",
  format: "esm",
  dts: false,
  target: "node22",
  platform: "node",
  noExternal: [/.*/],
  removeNodeProtocol: false,
  // Packages in CommonJS ask for Node's own modules by require.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
  esbuildOptions: (options) => {
    options.conditions = ["@longshore/source"];
  },
});
