import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, it } from "vitest";
import { openBootstrap } from "../../src/rafs/open-bootstrap.ts";
import { validateRafs } from "../../src/rafs/validate-rafs.ts";
import { writeBootstrap } from "../../src/rafs/write-bootstrap.ts";
import type { DirectoryInode, Inode } from "../../src/tree/inode.ts";
import { differences } from "../tree/file-listing.ts";
import { listObjects } from "../tree/list-tree.ts";
import {
  device,
  directory,
  imageBuilder,
  pipe,
  symlink,
  type Attributes,
  type ImageBuilder,
  type ImageBuilderOptions,
} from "./image-builder.ts";
import { listFilesystem } from "./list-filesystem.ts";
import { memorySink } from "./memory-sink.ts";
import { oddTree } from "./odd-tree.ts";

it.each<ImageBuilderOptions>([
  {},
  { chunkSize: 4096, toc: true },
  { compressor: "zstd", chunkSize: 65_536 },
  { compressor: "zstd", toc: true },
])(
  "reads back what it wrote: $compressor, chunks of $chunkSize, list of sections $toc",
  async (options) => {
    const builder = imageBuilder({ ...options, blobs: 2 });
    const image = await builder.finish(await oddTree(builder));
    const filesystem = openBootstrap(image.bootstrap);

    const listing = await listFilesystem(filesystem, image.blobBytes);

    expect(differences(listing, listObjects(image.root, image.sha256Of))).toEqual([]);
    expect(validateRafs(image.bootstrap)).toMatchObject({ inodes: filesystem.inodeCount });
  },
);

it("gives the same bytes for the same image, in whatever order its files and xattrs came", async () => {
  const build = async (turn: <T>(list: T[]) => T[]): Promise<Buffer> => {
    const builder = imageBuilder();
    const file = await builder.file(Buffer.from("same"), {
      xattrs: new Map(
        turn([
          ["user.a", Buffer.from("1")],
          ["user.b", Buffer.from("2")],
        ]),
      ),
    });
    const entries = turn<[string, Inode]>([
      ["one", file],
      ["two", file],
      ["three", symlink("x")],
    ]);
    return (await builder.finish(directory(new Map(entries)))).bootstrap;
  };

  expect(await build((list) => list)).toEqual(await build((list) => list.toReversed()));
});

it("looks names up and lists them from any name on, in big directories", async () => {
  const builder = imageBuilder({ blobs: 2 });
  const image = await builder.finish(await oddTree(builder));
  const filesystem = openBootstrap(image.bootstrap);
  const many = filesystem.lookup(filesystem.rootNid, "many");
  const names = [...filesystem.entries(many?.nid ?? 0)].map(({ name }) => name);

  expect(names).toHaveLength(1500);
  expect(names).toEqual(names.toSorted());
  for (const [position, name] of names.entries()) {
    expect(filesystem.lookup(many?.nid ?? 0, name)?.name).toBe(name);
    expect(filesystem.lookup(many?.nid ?? 0, `${name}!`)).toBeUndefined();
    if (position % 100 > 0) continue;
    const rest = [...filesystem.entries(many?.nid ?? 0, name)];
    expect(rest.map((entry) => entry.name)).toEqual(names.slice(position + 1));
  }
  expect(filesystem.parent(many?.nid ?? 0)).toBe(filesystem.rootNid);
  expect(filesystem.parent(filesystem.rootNid)).toBe(filesystem.rootNid);
  expect(filesystem.lookup(filesystem.rootNid, "..")).toBeUndefined();
  expect(filesystem.lookup(filesystem.rootNid, "")).toBeUndefined();
});

it("keeps the list of files to fetch first", async () => {
  const builder = imageBuilder();
  const [late, early] = [
    await builder.file(Buffer.from("b")),
    await builder.file(Buffer.from("a")),
  ];
  const image = await builder.finish(directory({ late, early }));
  const sink = memorySink();
  await writeBootstrap(sink, { ...image, prefetch: [late, early] });
  const filesystem = openBootstrap(sink.bytes());

  const wanted = ["late", "early"].map((name) => filesystem.lookup(filesystem.rootNid, name)?.nid);

  expect(filesystem.prefetchNids).toEqual(wanted);
  expect(validateRafs(sink.bytes())).toMatchObject({ inodes: 3 });
});

it("says NOT_FOUND for what is no inode and no chunk", async () => {
  const builder = imageBuilder();
  const file = await builder.file(Buffer.from("a"));
  const filesystem = openBootstrap((await builder.finish(directory({ file }))).bootstrap);
  const nid = filesystem.lookup(filesystem.rootNid, "file")?.nid ?? 0;

  for (const wrong of [-1, 0.5, 2 ** 40, Number.NaN, Number.MAX_SAFE_INTEGER]) {
    expect(() => filesystem.stat(wrong)).toThrow(expect.objectContaining({ code: "NOT_FOUND" }));
    expect(() => filesystem.chunk(nid, wrong)).toThrow(
      expect.objectContaining({ code: "NOT_FOUND" }),
    );
  }
});

const name = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((bytes) =>
    Buffer.from(bytes.filter((byte) => byte !== 0 && byte !== 0x2f)).toString("latin1"),
  )
  .filter((text) => text !== "" && text !== "." && text !== "..");

const attributes: fc.Arbitrary<Attributes> = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.integer({ min: 0, max: 0xffff_ffff }),
  gid: fc.integer({ min: 0, max: 0xffff_ffff }),
  mtime: fc.record({
    seconds: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  }),
  xattrs: fc
    .array(
      fc.tuple(
        fc
          .tuple(fc.constantFrom("user.", "trusted.", "security."), name)
          .map((parts) => parts.join("")),
        fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
      ),
      { maxLength: 3 },
    )
    .map((pairs) => new Map(pairs)),
});

/** A tree as plain data; files get their chunks when it is built. */
type Plan =
  | { kind: "file"; size: number; fill: number; attributes: Attributes }
  | { kind: "other"; inode: Inode }
  | { kind: "link"; to: number }
  | { kind: "directory"; children: [string, Plan][]; attributes: Attributes };

const { tree } = fc.letrec<{ tree: Plan; directory: Plan; leaf: Plan }>((tie) => ({
  tree: fc.oneof({ maxDepth: 5, depthSize: "medium" }, tie("leaf"), tie("directory")),
  directory: fc.record({
    kind: fc.constant("directory" as const),
    children: fc.uniqueArray(fc.tuple(name, tie("tree")), {
      selector: ([key]) => key,
      maxLength: 12,
    }),
    attributes,
  }),
  leaf: fc.oneof(
    fc.record({
      kind: fc.constant("file" as const),
      size: fc.integer({ min: 0, max: 20_000 }),
      fill: fc.integer({ min: 0, max: 3 }),
      attributes,
    }),
    fc.record({ kind: fc.constant("link" as const), to: fc.nat(1000) }),
    fc
      .oneof(
        fc
          .tuple(fc.string({ minLength: 1, maxLength: 200, unit: "grapheme-ascii" }), attributes)
          .map((at) => symlink(...at)),
        fc
          .tuple(
            fc.constantFrom("character-device" as const, "block-device" as const),
            fc.tuple(fc.nat(4095), fc.nat(1_048_575)),
            attributes,
          )
          .map((at) => device(...at)),
        fc
          .tuple(fc.constantFrom("fifo" as const, "socket" as const), attributes)
          .map((at) => pipe(...at)),
      )
      .map((inode) => ({ kind: "other" as const, inode })),
  ),
}));

async function plant(plan: Plan, builder: ImageBuilder, leaves: Inode[]): Promise<Inode> {
  if (plan.kind === "directory") {
    const children = new Map<string, Inode>();
    for (const [key, child] of plan.children)
      children.set(key, await plant(child, builder, leaves));
    return directory(children, plan.attributes);
  }
  const old = plan.kind === "link" ? leaves[plan.to % Math.max(leaves.length, 1)] : undefined;
  if (old !== undefined) return old;
  const made =
    plan.kind === "other"
      ? plan.inode
      : plan.kind === "file"
        ? await builder.file(Buffer.alloc(plan.size, plan.fill), plan.attributes)
        : pipe("fifo");
  leaves.push(made);
  return made;
}

function asRoot(inode: Inode): DirectoryInode {
  return inode.kind === "directory" ? inode : directory({ only: inode });
}

it("reads back any tree", async () => {
  await fc.assert(
    fc.asyncProperty(
      tree,
      fc.constantFrom("none" as const, "zstd" as const),
      async (plan, compressor) => {
        const builder = imageBuilder({ chunkSize: 4096, compressor });
        const image = await builder.finish(asRoot(await plant(plan, builder, [])));

        const listing = await listFilesystem(openBootstrap(image.bootstrap), image.blobBytes);

        expect(differences(listing, listObjects(image.root, image.sha256Of))).toEqual([]);
        validateRafs(image.bootstrap);
      },
    ),
    { numRuns: 100 },
  );
});

it("has the digest of each chunk in its table", async () => {
  const builder = imageBuilder({ chunkSize: 4096 });
  const content = Buffer.alloc(10_000, "digest");
  const image = await builder.finish(directory({ file: await builder.file(content) }));
  const filesystem = openBootstrap(image.bootstrap);
  const nid = filesystem.lookup(filesystem.rootNid, "file")?.nid ?? 0;

  const digests = [0, 1, 2].map((number) => filesystem.chunk(nid, number).digest.toString("hex"));

  expect(digests).toEqual(
    [0, 4096, 8192].map((start) =>
      createHash("sha256")
        .update(content.subarray(start, start + 4096))
        .digest("hex"),
    ),
  );
});
