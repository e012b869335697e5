import { availableParallelism } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { PlainSummary } from "./scripts/plain-summary.ts";

/** Tests that kill, load or time things; `npm run test:slow` gives them their full size. */
const slow = "**/*.slow.test.ts";

/** How many times longer tests may take, on a machine that is slow, e.g. an emulated one. */
const patience = Number(process.env["LONGSHORE_TEST_PATIENCE"] ?? "1");

// Tests start hundreds of processes and threads from sources: what Node compiles of them once serves all, which halves
// the time until each runs.
process.env["NODE_COMPILE_CACHE"] ??= join(import.meta.dirname, "node_modules", ".cache", "node");

export default defineConfig({
  // Workspace packages resolve to their TypeScript sources: tests need no build.
  ssr: { resolve: { conditions: ["@longshore/source"] } },
  test: {
    reporters: ["default", new PlainSummary()],
    // They wait for other processes much of the time.
    maxWorkers: availableParallelism() + 2,
    expect: { poll: { timeout: 20_000 } },
    coverage: {
      include: ["packages/*/src/**"],
      exclude: ["packages/*/src/index.ts", "packages/cli/src/main.ts"],
      thresholds: { lines: 85 },
    },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["packages/*/test/**/*.test.ts"],
          exclude: [slow],
          // To load the packages anew for each file takes as long as the tests of most.
          isolate: false,
          testTimeout: 60_000 * patience,
          hookTimeout: 60_000 * patience,
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          globalSetup: "test/fixtures/build-command.ts",
          include: ["test/**/*.test.ts"],
          exclude: [slow],
          testTimeout: 120_000 * patience,
          hookTimeout: 120_000 * patience,
        },
      },
      {
        extends: true,
        test: {
          name: "slow",
          include: ["packages/*/test/**/*.slow.test.ts", "test/**/*.slow.test.ts"],
          testTimeout: 600_000 * patience,
          hookTimeout: 60_000 * patience,
        },
      },
    ],
  },
});
