import { defineConfig } from "tsup";

/** The command without node_modules, for container images: what to start it and its threads with, and what they share. */
export default defineConfig({
  entry: {
    longshore: "packages/cli/src/main.ts",
    "store-thread": "packages/store-sqlite/src/store-thread.ts",
    "fuse-thread": "packages/image-nydus/src/fuse/fuse-thread.ts",
    "convert-thread": "packages/image-nydus/src/store/convert-thread.ts",
    "open-shared-bootstrap": "packages/image-nydus/src/rootfs/open-shared-bootstrap.ts",
  },
  // A command loads what it needs of it, and starts in a fifth of the time.
  splitting: true,
  outDir: "packages/cli/bundle",
  clean: true,
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
