import { defineConfig } from "tsup";

/** The command without node_modules, for container images: one file, and one for the thread of the job store beside it. */
export default defineConfig({
  entry: {
    longshore: "packages/cli/src/main.ts",
    "store-thread": "packages/store-sqlite/src/store-thread.ts",
  },
  splitting: false,
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
