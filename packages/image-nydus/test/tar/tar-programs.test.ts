import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { differences, type FileListing } from "../tree/file-listing.ts";
import { listDirectory } from "../tree/list-directory.ts";
import { listLayers } from "../tree/tree-of-archive.ts";
import { readAll } from "./read-all.ts";

const work = mkdtempSync(join(tmpdir(), "longshore-tar-"));
afterAll(() => rmSync(work, { recursive: true }));

function sh(script: string): void {
  execFileSync("bash", ["-euc", script], { cwd: work, stdio: ["ignore", "pipe", "pipe"] });
}

/** Seconds only, as formats without PAX keep it */
function withoutNanoseconds(listing: FileListing): FileListing {
  return new Map(
    [...listing].map(([path, file]) => [
      path,
      { ...file, mtime: file.mtime.replace(/\.\d+$/, ".000000000") },
    ]),
  );
}

let everything: FileListing;
let plain: FileListing;

beforeAll(async () => {
  // What every format can hold.
  sh(`umask 022; mkdir -p plain/d/e; cd plain
    echo hello > d/f; ln d/f d/g; : > empty; ln -s d/f s; ln -s nowhere dangling; mkfifo p; mknod c c 5 1; mknod b b 7 300
    chmod 4711 d/f; chmod 1777 d; chown 12:34 d/f; chown -h 5:6 s
    printf 'x' > "$(printf 'n%.0s' {1..90})"; head -c 513 /dev/urandom > odd; head -c 512 /dev/urandom > even
    head -c 3000000 /dev/urandom > big
    find . -exec touch -h -d @1600000000 {} +`);
  // What needs extensions.
  sh(`umask 022; cp -a plain all; cd all
    long=$(printf 'l%.0s' {1..120}); mkdir -p $long/$long; echo 1 > $long/$long/$long; ln -s $long/$long/$long long-link
    ln $long/$long/$long long-hard
    echo 2 > $'\\xff\\xfe-\\xe9'; echo 3 > $'new\\nline'; echo 4 > 'a=b c'; ln -s $'\\xfftarget' $'\\xfflink'
    echo 5 > ids; chown 4000000000:3000000 ids
    find . -exec touch -h -d @1600000000 {} +
    touch -d @1600000000.123456789 d/f; touch -d @-5 empty; touch -d @-1.25 odd`);
  everything = await listDirectory(join(work, "all"));
  plain = await listDirectory(join(work, "plain"));
});

async function listArchive(name: string): Promise<FileListing> {
  return await listLayers([await readFile(join(work, name))]);
}

describe("archives of GNU tar", () => {
  it.each(["v7", "oldgnu", "gnu", "ustar", "posix"])("reads format %s", async (format) => {
    // v7 has no devices.
    const without = format === "v7" ? "--exclude=./b --exclude=./c --exclude=./p" : "";
    sh(`tar -C plain --format=${format} ${without} -cf plain-${format}.tar .`);
    const expected = new Map(plain);
    if (format === "v7") for (const name of ["b", "c", "p"]) expected.delete(name);
    expect(differences(await listArchive(`plain-${format}.tar`), expected)).toEqual([]);
  });

  it("reads long names, big ids and old times of the GNU format", async () => {
    sh(`tar -C all --format=gnu -cf all-gnu.tar .`);
    expect(differences(await listArchive("all-gnu.tar"), withoutNanoseconds(everything))).toEqual(
      [],
    );
  });

  it("reads long names, big ids and times to the nanosecond of PAX", async () => {
    sh(`tar -C all --format=posix -cf all-posix.tar .`);
    expect(differences(await listArchive("all-posix.tar"), everything)).toEqual([]);
  });

  it("reads names in the two parts of ustar", async () => {
    sh(`mkdir -p split/$(printf 'p%.0s' {1..80}); echo 1 > split/$(printf 'p%.0s' {1..80})/$(printf 'q%.0s' {1..90})
      find split -exec touch -d @7 {} +; tar -C split --format=ustar -cf split.tar .`);
    const listing = await listDirectory(join(work, "split"));
    expect(differences(await listArchive("split.tar"), listing)).toEqual([]);
  });

  it("reads extended attributes of any bytes", async () => {
    sh(`mkdir x; cd x; echo 1 > f; echo 2 > cap; mkdir d; ln -s f s
      setfattr -n user.binary -v 0x00ff0a3d00 f; setfattr -n user.lines -v $'a\\nb=c\\n12 d=e\\n' f
      setfattr -n user.empty f; setfattr -n trusted.t -v 0x01 d; setfattr -h -n trusted.s -v 0x02 s
      setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 cap
      setfattr -n user.big -v 0x$(printf 'ab%.0s' {1..3000}) d
      find . -exec touch -h -d @7.5 {} +
      tar --format=posix --xattrs --xattrs-include='*' -cf ../x.tar .`);
    const listing = await listDirectory(join(work, "x"));
    expect(listing.get("f")?.xattrs["user.lines"]).toBeDefined();
    expect(differences(await listArchive("x.tar"), listing)).toEqual([]);
  });

  it("applies global PAX headers to all entries", async () => {
    sh(`mkdir -p glob; echo 1 > glob/f; echo 2 > glob/g
      tar -C glob --format=posix --pax-option=globexthdr.name=g,comment=hi,gid=77,mtime=5.5 -cf glob.tar f g`);
    const entries = await readAll(await readFile(join(work, "glob.tar")));
    expect(entries.map(({ path, gid }) => [path, gid])).toEqual([
      ["f", 77],
      ["g", 77],
    ]);
  });

  it.each([
    "--format=gnu",
    ..."0.0 0.1 1.0".split(" ").map((v) => `--format=posix --sparse-version=${v}`),
  ])(
    "reads sparse files of %s",
    async (format) => {
      sh(`mkdir -p sparse; cd sparse; python3 - <<'END'
import os
def make(name, runs, size):
    with open(name, "wb") as f:
        for offset, data in runs:
            f.seek(offset); f.write(data)
        f.truncate(size)
make("hole-only", [], 5_000_000)
make("hole-end", [(0, b"begin" * 1000)], 3_000_001)
make("data-end", [(2_000_000, b"end")], 2_000_003)
make("middle", [(1 << 20, b"m" * 5000)], 4 << 20)
make("many", [(i * 16384, os.urandom(4096 + i)) for i in range(200)], 200 * 16384)
make("dense", [(0, b"d" * 700)], 700)
make("behind", [(8192 * 3, b"z")], 8192 * 30)
END
      find . -exec touch -d @7 {} +
      tar ${format} --sparse -cf ../sparse.tar .`);
      const archive = await readFile(join(work, "sparse.tar"));
      expect(archive.length).toBeLessThan(3_000_000);
      const listing = await listDirectory(join(work, "sparse"));
      expect(differences(await listArchive("sparse.tar"), listing)).toEqual([]);
      const entries = await readAll(archive, { chunkSize: 1_000 });
      const hole = entries.find(({ path }) => path === "./hole-only");
      expect(hole?.layout).toBe("hole 5000000");
    },
    60_000,
  );

  it("reads concatenated archives when asked to, and else the first", async () => {
    sh(
      `mkdir -p cat; echo 1 > cat/a; echo 2 > cat/b; tar -C cat -cf c1.tar a; tar -C cat -cf c2.tar b; cat c1.tar c2.tar > c.tar`,
    );
    const archive = await readFile(join(work, "c.tar"));
    expect((await readAll(archive)).map(({ path }) => path)).toEqual(["a"]);
    const all = await readAll(archive, { afterEnd: "read" });
    expect(all.map(({ path, bytes }) => [path, bytes.toString()])).toEqual([
      ["a", "1\n"],
      ["b", "2\n"],
    ]);
  });

  it("leaves out volume labels and dump directories", async () => {
    sh(
      `mkdir -p vol/d; echo 1 > vol/d/f; tar -C vol --format=gnu --label=name --listed-incremental=snap -cf vol.tar d`,
    );
    const entries = await readAll(await readFile(join(work, "vol.tar")));
    expect(entries.map(({ path, kind }) => [path, kind])).toEqual([["d/f", "file"]]);
  });
});

describe("archives of bsdtar", () => {
  it.each(["ustar", "gnutar", "v7tar"])("reads format %s", async (format) => {
    const without = format === "v7tar" ? "--exclude ./b --exclude ./c --exclude ./p" : "";
    sh(`bsdtar -C plain --format ${format} ${without} -cf bsd-${format}.tar .`);
    const expected = new Map(plain);
    if (format === "v7tar") for (const name of ["b", "c", "p"]) expected.delete(name);
    expect(differences(await listArchive(`bsd-${format}.tar`), expected)).toEqual([]);
  });

  it("reads PAX with its attributes in base64 and its holes", async () => {
    sh(`mkdir y; cd y; echo 1 > f; setfattr -n user.binary -v 0x00ff0a3d00 f; setfattr -n 'user.odd %=' -v 0x01 f
      truncate -s 3000000 h; printf end >> h; find . -exec touch -d @7.5 {} +
      bsdtar --format pax --read-sparse --xattrs -cf ../y.tar .`);
    const listing = await listDirectory(join(work, "y"));
    const archive = await readFile(join(work, "y.tar"));
    expect(archive.includes("LIBARCHIVE.xattr.")).toBe(true);
    expect(differences(await listArchive("y.tar"), listing)).toEqual([]);
  });

  it("reads PAX with names of any bytes", async () => {
    sh(`LC_ALL=C bsdtar -C all --format pax -cf bsd-all.tar .`);
    // bsdtar writes a time before 1970 as if its fraction counted backwards.
    const ignore = (path: string, field: string): boolean => path === "odd" && field === "mtime";
    expect(differences(await listArchive("bsd-all.tar"), everything, { ignore })).toEqual([]);
  });
});

describe("archives of Python", () => {
  it.each(["PAX", "GNU"])("reads format %s", async (format) => {
    sh(`python3 -c '
import tarfile
with tarfile.open("py-${format}.tar", "w", format=tarfile.${format}_FORMAT, errors="surrogateescape") as t: t.add("all", ".")'`);
    const listing = await listArchive(`py-${format}.tar`);
    const [found, expected] =
      format === "GNU"
        ? [withoutNanoseconds(listing), withoutNanoseconds(everything)]
        : [listing, everything];
    // Python keeps times as floating-point numbers.
    const ignore = (_: string, field: string): boolean => field === "mtime";
    expect(differences(found, expected, { ignore })).toEqual([]);
  });
});
