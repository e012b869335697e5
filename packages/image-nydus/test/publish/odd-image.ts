import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { listDirectory } from "../tree/list-directory.ts";
import type { FileListing } from "../tree/file-listing.ts";
import { run } from "../registry/sample-image.ts";

/** An image with files of every kind, and what it looks like unpacked. */
export interface OddImage {
  /** `oci:DIR:TAG` */
  readonly name: string;
  readonly layout: string;
  /** As umoci unpacks it */
  readonly listing: FileListing;
}

// Python makes files whose names are bytes, with nanoseconds and extended attributes.
const script = String.raw`
import os, random, stat, sys
root = os.fsencode(sys.argv[1])
noise = random.Random(7)
def at(name): return os.path.join(root, name)
def put(name, data=b"x", mode=0o644, uid=0, gid=0):
    os.makedirs(os.path.dirname(at(name)), exist_ok=True)
    with open(at(name), "wb") as f: f.write(data)
    os.chown(at(name), uid, gid)
    os.chmod(at(name), mode)
put(b"bin/tool", b"#!/bin/sh\necho tool\n", 0o4755)
put(b"bin/group", b"g", 0o2755, 0, 12)
put(b"empty", b"")
put(b"block", noise.randbytes(4096))
put(b"chunk", noise.randbytes(1 << 20))
put(b"chunk+1", noise.randbytes((1 << 20) + 1))
put(b"three", noise.randbytes(3 << 20))
put(b"again/three", open(at(b"three"), "rb").read())
put(b"text", b"all work and no play " * 20000)
put(b"owned", b"o", 0o600, 3000000000, 2147483649)
put(b"dir/sub/file", b"in sub")
for n in range(300): put(b"many/file-%03d" % n, b"number %d" % n)
os.mkdir(at(b"hollow"))
os.makedirs(at(b"tmp")); os.chmod(at(b"tmp"), 0o1777)
os.makedirs(at(b"private")); os.chmod(at(b"private"), 0o700); os.chown(at(b"private"), 5, 6)
put(b"\xff\xfe not utf-8", b"bytes")
put("größe/ß".encode(), b"utf-8")
put(b"new\nline", b"n"); put(b" space ", b"s"); put(b"-dash", b"d"); put(b"back\\slash", b"b"); put(b"a=b", b"e"); put(b'"quoted"', b"q")
put(b"l" * 255, b"long name")
put(b"/".join([b"deep" * 20] * 12) + b"/end", b"deep")
os.symlink(b"text", at(b"link")); os.symlink(b"/bin/tool", at(b"absolute")); os.symlink(b"no/where", at(b"dangling"))
os.symlink(b"t" * 300, at(b"long link")); os.symlink(b"../\xff\x01", at(b"byte link"))
for other in (b"chunk hard", b"dir/chunk hard", b"z" * 150): os.link(at(b"chunk"), at(other))
os.link(at(b"link"), at(b"dir/link hard"), follow_symlinks=False)
os.mkfifo(at(b"pipe"), 0o640)
os.mknod(at(b"null"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
os.mknod(at(b"disk"), 0o660 | stat.S_IFBLK, os.makedev(259, 70000))
put(b"xattrs", b"x")
os.setxattr(at(b"xattrs"), b"user.text", b"some text"); os.setxattr(at(b"xattrs"), b"user.bytes", b"\x00\n=\xff")
os.setxattr(at(b"xattrs"), b"user.big", noise.randbytes(2000)); os.setxattr(at(b"xattrs"), b"trusted.t", b"1")
os.setxattr(at(b"bin/tool"), b"security.capability", b"\x01\x00\x00\x02\x00\x04" + bytes(14))
os.setxattr(at(b"dir"), b"user.of-dir", b"yes")
tame = sys.argv[2] == "tame"
acl = bytes.fromhex("02000000" "01000600ffffffff" "0200040007000000" "04000400ffffffff" "10000400ffffffff" "20000400ffffffff")
if not tame: os.setxattr(at(b"dir/sub/file"), b"system.posix_acl_access", acl)
with open(at(b"sparse"), "wb") as f:
    f.truncate(40 << 20); f.seek(20 << 20); f.write(b"middle"); f.seek((30 << 20) + 12345); f.write(noise.randbytes(9000))
def stamp(path, ns): os.utime(path, ns=(ns, ns), follow_symlinks=False)
number = 0
for folder, folders, files in os.walk(root, topdown=False):
    for name in sorted(folders) + sorted(files):
        number += 1
        stamp(os.path.join(folder, name), 1500000000 * 10**9 + number * 1000003)
stamp(at(b"empty"), 12 * 10**9); stamp(at(b"block"), 2500000000 if tame else -2500000000); stamp(at(b"owned"), 10**9 * (1 << 33) + 1)
stamp(root, 1400000000 * 10**9)
`;

export interface OddImageOptions {
  /** Leave out what version 2.2 of Nydus' tools gets wrong: access control lists and times before 1970. @default false */
  readonly isTame?: boolean;
}

/** Makes the image by umoci. Needs root. */
export async function oddImage(
  directory: string,
  { isTame = false }: OddImageOptions = {},
): Promise<OddImage> {
  const layout = join(directory, "odd");
  const image = `${layout}:one`;
  const bundle = join(directory, "bundle");
  await run("umoci", "init", "--layout", layout);
  await run("umoci", "new", "--image", image);
  await run("umoci", "unpack", "--image", image, bundle);
  await python(script, join(bundle, "rootfs"), isTame ? "tame" : "all");
  await run("umoci", "repack", "--image", image, bundle);
  const flags = ["--config.cmd", "/bin/tool", "--config.env", "A=b", "--config.label", "x.y=<z>"];
  await run("umoci", "config", "--image", image, ...flags);
  return { name: `oci:${image}`, layout, listing: await unpackedListing(directory, image) };
}

/** What umoci unpacks an image to. @param image `DIR:TAG` */
export async function unpackedListing(directory: string, image: string): Promise<FileListing> {
  const bundle = join(directory, `unpacked-${crypto.randomUUID()}`);
  await run("umoci", "unpack", "--image", image, bundle);
  return listDirectory(join(bundle, "rootfs"));
}

async function python(program: string, ...args: readonly string[]): Promise<void> {
  const child = spawn("python3", ["-c", program, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  const complaint = text(child.stderr);
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`python3 failed: ${await complaint}`);
}
