import { defineConfig } from "vitest/config";

/** Runs the suite on runtimes with faults; many of its cases fail, as they should. */
const config = defineConfig({
  ssr: { resolve: { conditions: ["@longshore/source"] } },
  test: { cache: false, root: import.meta.dirname, include: ["faulty-runtimes.ts"] },
});

// oxlint-disable-next-line import/no-default-export -- vitest reads it so
export default config;
