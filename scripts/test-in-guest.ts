// Runs tests in a virtual machine that has version 2 of cgroups and nothing else, whatever this machine has. The processor is emulated:
// it takes minutes.
//
//   node scripts/test-in-guest.ts                          the tests of the driver for OCI runtimes, and of the engine over it
//   node scripts/test-in-guest.ts vitest run FILE…         other tests
//   node scripts/test-in-guest.ts -- COMMAND [ARGUMENT…]   any command
//
// Needs root, and of Debian's packages qemu-system-x86, virtiofsd (before Debian 13 part of the former), busybox-static,
// libarchive-tools and e2fsprogs; the kernel is fetched by apt, and kept in the user's cache.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runInGuest, whyNoGuests } from "../test/fixtures/guest/run-in-guest.ts";

const root = dirname(import.meta.dirname);
const driverTests = [
  "vitest",
  "run",
  "packages/runtime-oci/test",
  "test/runtime/runtime-conformance",
];
const given = process.argv.slice(2).filter((word, index) => index > 0 || word !== "--");

if (whyNoGuests !== undefined) throw new Error(`no guest can run here: ${whyNoGuests}`);
const share = await mkdtemp(join(tmpdir(), "longshore-share-"));
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
try {
  const { exitCode, console: messages } = await runInGuest({
    command: given.length > 0 ? given : driverTests,
    cwd: root,
    share,
    memoryMb: 4_096,
    output: process.stdout,
    signal: stop.signal,
    env: { CI: "true", LONGSHORE_TEST_PATIENCE: "10" },
  });
  if (exitCode === undefined) console.error(`The guest went down:\n${messages.slice(-4_000)}`);
  process.exitCode = exitCode ?? 1;
} finally {
  await rm(share, { recursive: true, force: true });
}
