import { mkdtemp, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { holdBlobs, localBlobReader } from "../../src/mount/local-blob-reader.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-blobs-"));
});
afterEach(() => rm(directory, { recursive: true }));

const id = (number: number): string => number.toString(16).padStart(64, "0");

async function openFiles(): Promise<number> {
  const names = await readdir("/proc/self/fd");
  const links = await Promise.all(
    names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => "")),
  );
  return links.filter((link) => link.startsWith(directory)).length;
}

describe("a reader of local blobs", () => {
  it("reads any part, and fails past the end", async () => {
    await writeFile(join(directory, id(1)), "0123456789");
    using reader = localBlobReader(directory);
    const bytes = Buffer.alloc(4);
    await reader.read(id(1), 6, bytes);
    expect(bytes.toString()).toBe("6789");
    await expect(reader.read(id(1), 7, bytes)).rejects.toMatchObject({
      code: "IO_ERROR",
      details: { size: 10, offset: 7 },
    });
    await expect(reader.read(id(2), 0, bytes)).rejects.toMatchObject({ code: "IO_ERROR" });
  });

  it("opens nothing but blobs", async () => {
    await symlink("/etc/passwd", join(directory, id(3)));
    using reader = localBlobReader(directory);
    const attempt = (blobId: string): Promise<void> => reader.read(blobId, 0, Buffer.alloc(1));
    await expect(attempt("../../etc/passwd")).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    await expect(attempt("")).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    await expect(attempt(id(3))).rejects.toMatchObject({ code: "IO_ERROR" });
  });

  it("holds only so many files open, and none when it is disposed", async () => {
    const blobs = Array.from({ length: 300 }, (_, number) => id(number));
    for (const blob of blobs) await writeFile(join(directory, blob), blob);
    const reader = localBlobReader(directory);
    const bytes = Buffer.alloc(64);
    for (const blob of [...blobs, ...blobs.slice(0, 60)]) {
      await reader.read(blob, 0, bytes);
      expect(bytes.toString()).toBe(blob);
    }
    expect(await openFiles()).toBe(256);
    reader[Symbol.dispose]();
    expect(await openFiles()).toBe(0);
  });

  it("reads blobs that are held after their files are gone, wherever they were", async () => {
    const path = join(directory, `${id(1)}.elsewhere`);
    await writeFile(path, "0123456789");
    const held = holdBlobs(
      new Map([
        [id(1), path],
        [id(2), join(directory, "missing")],
      ]),
    );
    await rm(path);
    {
      using reader = localBlobReader(directory, held.files);
      const bytes = Buffer.alloc(4);
      await reader.read(id(1), 6, bytes);
      expect(bytes.toString()).toBe("6789");
      await expect(reader.read(id(2), 0, bytes)).rejects.toMatchObject({ code: "IO_ERROR" });
    }
    expect(await openFiles()).toBe(1);
    held[Symbol.dispose]();
    expect(await openFiles()).toBe(0);
  });
});
