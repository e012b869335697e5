import fc from "fast-check";
import { expect, it } from "vitest";
import { differences, type FileListing } from "./file-listing.ts";
import { dir, file, hardlink, layer, symlink } from "./layer-entries.ts";
import { listLayers } from "./tree-of-archive.ts";
import { umociListing } from "./umoci-unpack.ts";

const name = fc.constantFrom("a", "b", "c");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("/"));
const target = fc.oneof(
  path,
  path.map((way) => `/${way}`),
  path.map((way) => `../${way}`),
  path.map((way) => `${way}/../b`),
);
const mode = fc.constantFrom(0o700, 0o711, 0o755);

const entry = fc.oneof(
  { arbitrary: fc.tuple(path, fc.string()).map(([at, text]) => file(at, text)), weight: 4 },
  { arbitrary: fc.tuple(path, mode).map(([at, bits]) => dir(at, { mode: bits })), weight: 4 },
  { arbitrary: fc.tuple(path, target).map(([at, to]) => symlink(at, to)), weight: 2 },
  { arbitrary: fc.tuple(path, path).map(([at, to]) => hardlink(at, to)), weight: 1 },
  { arbitrary: path.map((at) => file(at.replace(/[^/]*$/, ".wh.$&"), "")), weight: 2 },
  { arbitrary: path.map((at) => file(at.replace(/[^/]*$/, ".wh..wh..opq"), "")), weight: 1 },
);

const layers = fc.array(
  fc.array(entry, { minLength: 1, maxLength: 7 }).map((entries) => layer(...entries)),
  { minLength: 2, maxLength: 3 },
);

async function listOrRefuse(listing: Promise<FileListing>): Promise<FileListing | "refused"> {
  return await listing.catch((error: unknown) => {
    const isExpected =
      error instanceof Error &&
      ("stderr" in error || ("code" in error && error.code === "VALIDATION_ERROR"));
    if (isExpected) return "refused" as const;
    throw error;
  });
}

it("makes of random layers what umoci makes of them", async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(layers, async (archives) => {
      const [ours, theirs] = await Promise.all([
        listOrRefuse(listLayers(archives)),
        listOrRefuse(umociListing(archives)),
      ]);
      if (ours === "refused" || theirs === "refused") {
        expect(ours === "refused").toBe(theirs === "refused");
        return;
      }
      compared += 1;
      const lines = differences(ours, theirs, {
        ignore(at, field) {
          // Times of the clock, see the other test with umoci.
          const isOfTheClock = Number(theirs.get(at)?.mtime) > 1_000_000_000;
          if (field === "mtime") return isOfTheClock;
          // A directory that is hidden and then implied by its files: umoci keeps the hidden one's mode when they come first.
          return field === "mode" && isOfTheClock && ours.get(at)?.mtime === "0.000000000";
        },
      });
      expect(lines).toEqual([]);
    }),
    { numRuns: 400, endOnFailure: true },
  );
  expect(compared).toBeGreaterThan(50);
});
