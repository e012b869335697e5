import { defineConfig } from "tsup";

/** The command without node_modules, for container images: one file, and those that its threads start with beside it. */
export default defineConfig({
  entry: {
    longshore: "packages/cli/src/main.ts",
    "store-thread": "packages/store-sqlite/src/store-thread.ts",
    "fuse-thread": "packages/image-nydus/src/fuse/fuse-thread.ts",
    "convert-thread": "packages/image-nydus/src/store/convert-thread.ts",
    "open-shared-bootstrap": "packages/image-nydus/src/rootfs/open-shared-bootstrap.ts",
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
