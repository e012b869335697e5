import { defineConfig } from "vitest/config";
import { PlainSummary } from "./scripts/plain-summary.ts";

export default defineConfig({
  // Workspace packages resolve to their TypeScript sources: tests need no build.
  ssr: { resolve: { conditions: ["@longshore/source"] } },
  test: {
    reporters: process.env["CI"] ? ["default", new PlainSummary()] : ["default"],
    coverage: {
      include: ["packages/*/src/**"],
      exclude: ["packages/*/src/index.ts", "packages/cli/src/main.ts"],
      thresholds: { lines: 90 },
    },
    projects: [
      { extends: true, test: { name: "unit", include: ["packages/*/test/**/*.test.ts"] } },
      { extends: true, test: { name: "e2e", include: ["test/**/*.test.ts"], testTimeout: 30_000 } },
    ],
  },
});
