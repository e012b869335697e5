import { defineConfig } from "vitest/config";

/** Runs the suite on handlers with faults; most of its cases fail, as they should. */
const config = defineConfig({
  ssr: { resolve: { conditions: ["@longshore/source"] } },
  test: { cache: false, root: import.meta.dirname, include: ["faulty-handlers.ts"] },
});

// oxlint-disable-next-line import/no-default-export -- vitest reads it so
export default config;
