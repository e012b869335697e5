import fc from "fast-check";
import { expect, it } from "vitest";
import { differences, type FileListing } from "./file-listing.ts";
import { dir, file, hardlink, layer, symlink } from "./layer-entries.ts";
import { listLayers } from "./tree-of-archive.ts";
import { umociListing } from "./umoci-unpack.ts";

const numRuns = process.env["LONGSHORE_TEST_SCALE"] === "full" ? 400 : 80;
const letter = fc.constantFrom("a", "b", "c");
const path = fc.array(letter, { minLength: 1, maxLength: 3 }).map((names) => names.join("/"));
const target = fc.oneof(
  path,
  path.map((way) => `/${way}`),
  path.map((way) => `../${way}`),
  path.map((way) => `${way}/../b`),
);
const mode = fc.constantFrom(0o700, 0o711, 0o755);

/** Kept as data, so that a counterexample can be read. */
type Step =
  | { readonly file: string; readonly content: string }
  | { readonly dir: string; readonly mode: number }
  | { readonly symlink: string; readonly to: string }
  | { readonly hardlink: string; readonly to: string };

function weighted<T>(weight: number, arbitrary: fc.Arbitrary<T>): fc.WeightedArbitrary<T> {
  return { weight, arbitrary };
}

const marker = (name: string): fc.Arbitrary<Step> =>
  path.map((at) => ({ file: at.replace(/[^/]*$/, name), content: "" }));

const step: fc.Arbitrary<Step> = fc.oneof(
  weighted(4, fc.record({ file: path, content: fc.string({ maxLength: 3 }) })),
  weighted(4, fc.record({ dir: path, mode })),
  weighted(2, fc.record({ symlink: path, to: target })),
  weighted(1, fc.record({ hardlink: path, to: path })),
  weighted(2, marker(".wh.$&")),
  weighted(1, marker(".wh..wh..opq")),
);

function write(entry: Step): Buffer {
  if ("file" in entry) return file(entry.file, entry.content);
  if ("dir" in entry) return dir(entry.dir, { mode: entry.mode });
  return "symlink" in entry ? symlink(entry.symlink, entry.to) : hardlink(entry.hardlink, entry.to);
}

const layers = fc.array(fc.array(step, { minLength: 1, maxLength: 7 }), {
  minLength: 2,
  maxLength: 3,
});

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
    fc.asyncProperty(layers, async (steps) => {
      const archives = steps.map((entries) => layer(...entries.map(write)));
      const [ours, theirs] = await Promise.all([
        listOrRefuse(listLayers(archives)),
        listOrRefuse(umociListing(archives)),
      ]);
      const hasMarkers = JSON.stringify(steps).includes(".wh.");
      if (ours === "refused" || theirs === "refused") {
        expect(ours === "refused").toBe(theirs === "refused");
        return;
      }
      compared += 1;
      const lines = differences(ours, theirs, {
        ignore(at, field) {
          // Times of the clock, see the other test with umoci.
          if (field === "mtime" && Number(theirs.get(at)?.mtime) > 1_000_000_000) return true;
          // A directory that is hidden, and implied by files of the layer that hides it: when the files come first, umoci keeps
          // the attributes of the hidden one. All that layers describe has another time than 0.
          const isImplied = ours.get(at)?.mtime === "0.000000000";
          return isImplied && hasMarkers && (field === "mode" || field === "mtime");
        },
      });
      expect(lines).toEqual([]);
    }),
    { numRuns, endOnFailure: true },
  );
  expect(compared).toBeGreaterThan(numRuns / 8);
});
