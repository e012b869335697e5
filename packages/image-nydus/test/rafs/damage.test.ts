import { isLongshoreError } from "@longshore/core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { openBootstrap } from "../../src/rafs/open-bootstrap.ts";
import { validateRafs } from "../../src/rafs/validate-rafs.ts";
import type { Inode } from "../../src/tree/inode.ts";
import { device, directory, imageBuilder, symlink } from "./image-builder.ts";

it("answers any damage with an error or some tree, never with a hang or a crash", async () => {
  const builder = imageBuilder({ chunkSize: 4096, blobs: 2, toc: true });
  const file = await builder.file(Buffer.alloc(20_000, 5), {
    xattrs: new Map([["user.x", Buffer.from("y")]]),
  });
  const names = new Map<string, Inode>();
  for (let number = 0; number < 400; number += 1) names.set(`name-${number}`, file);
  const root = directory({
    file: await builder.file(Buffer.from("other blob"), {}, 1),
    many: directory(names),
    link: symlink("target"),
    device: device("character-device", [1, 2]),
    nested: directory({ again: directory({ file }) }),
  });
  const { bootstrap } = await builder.finish(root);
  const used = bootstrap.findLastIndex((byte) => byte !== 0);
  const flip = fc.record({
    at: fc.oneof(fc.integer({ min: 1024, max: 1700 }), fc.integer({ min: 4096, max: used })),
    value: fc.integer({ min: 0, max: 255 }),
  });
  fc.assert(
    fc.property(fc.array(flip, { minLength: 1, maxLength: 6 }), (flips) => {
      const damaged = Buffer.from(bootstrap);
      for (const { at, value } of flips) damaged[at] = value;
      expect(outcome(() => validateRafs(damaged))).toBeOneOf(expectedOutcomes);
      expect(outcome(() => visitAll(damaged))).toBeOneOf(expectedOutcomes);
    }),
    { numRuns: 800 },
  );
});

const expectedOutcomes = ["no error", "IMAGE_CHECKSUM_MISMATCH", "NOT_FOUND", "VALIDATION_ERROR"];

function outcome(action: () => unknown): string {
  try {
    action();
    return "no error";
  } catch (error) {
    if (!isLongshoreError(error)) throw error;
    return error.code;
  }
}

function expectExpectedErrors(action: () => unknown): void {
  expect(outcome(action)).toBeOneOf(expectedOutcomes);
}

/** Asks everything of every inode that can be reached, and goes on behind what cannot be read. */
function visitAll(bytes: Buffer): void {
  const filesystem = openBootstrap(bytes);
  const seen = new Set<number>();
  const queue = [filesystem.rootNid];
  for (let nid = queue.pop(); nid !== undefined; nid = queue.pop()) {
    if (seen.has(nid)) continue;
    seen.add(nid);
    const at = nid;
    expectExpectedErrors(() => filesystem.xattrs(at));
    expectExpectedErrors(() => filesystem.linkTarget(at));
    expectExpectedErrors(() => filesystem.parent(at));
    expectExpectedErrors(() => filesystem.lookup(at, "name-7"));
    for (const number of [0, 1, 2 ** 30]) expectExpectedErrors(() => filesystem.chunk(at, number));
    expectExpectedErrors(() => {
      for (const entry of filesystem.entries(at)) queue.push(entry.nid);
    });
  }
}
