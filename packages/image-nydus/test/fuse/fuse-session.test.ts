import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { directoryPages } from "../../src/fuse/directory-pages.ts";
import { initFlag, maxReadBytes, opcode, sizeOf } from "../../src/fuse/fuse-protocol.ts";
import { fuseSession, sharedAgreement, type FuseSession } from "../../src/fuse/fuse-session.ts";
import { negotiate } from "../../src/fuse/negotiate.ts";
import { memoryFilesystem } from "./memory-filesystem.ts";
import { attributes, directory } from "./sample-image.ts";

const pipe = { ...attributes(), kind: "fifo" } as const;

function filesystemOf(names: readonly string[]): ReturnType<typeof memoryFilesystem> {
  const root = directory(names.map((name) => [name, { ...pipe }] as const));
  return memoryFilesystem({ root, chunkSize: 4_096 });
}

function request(operation: number, body: Buffer = Buffer.alloc(0), node = 1): Buffer {
  const header = Buffer.alloc(sizeOf.requestHeader);
  header.writeUInt32LE(header.length + body.length, 0);
  header.writeUInt32LE(operation, 4);
  header.writeBigUInt64LE(0xfedc_ba98_7654_3210n, 8);
  header.writeUInt32LE(node, 16);
  return Buffer.concat([header, body]);
}

function initRequest(major: number, minor: number, flags: bigint): Buffer {
  const body = Buffer.alloc(64);
  body.writeUInt32LE(major, 0);
  body.writeUInt32LE(minor, 4);
  body.writeUInt32LE(131_072, 8);
  body.writeUInt32LE(Number(flags & 0xffff_ffffn), 12);
  body.writeUInt32LE(Number(flags >> 32n), 16);
  return request(opcode.init, body);
}

const reply = Buffer.alloc(sizeOf.replyHeader + maxReadBytes);

function session(): FuseSession {
  return fuseSession(filesystemOf(["a"]), sharedAgreement(new Int32Array(2)), {
    onReady: () => undefined,
    onError: (error) => {
      throw error;
    },
  });
}

function errorOf(operation: number, body?: Buffer, node?: number): number {
  const answer = session().handle(request(operation, body, node), reply);
  if (answer.kind !== "reply") throw new Error(`no reply but ${answer.kind}`);
  expect(reply.readUInt32LE(0)).toBe(answer.length);
  expect(reply.readBigUInt64LE(8)).toBe(0xfedc_ba98_7654_3210n);
  return 0 - reply.readInt32LE(4);
}

describe("the FUSE protocol", () => {
  it("takes of what the kernel offers what it wants, and nothing else", () => {
    const offered = (1n << 45n) - 1n;
    const { agreement } = negotiate(initRequest(7, 45, offered), reply);
    expect(agreement).toEqual({ noOpen: true, noOpendir: true });
    const low = BigInt(reply.readUInt32LE(16 + 12));
    const high = BigInt(reply.readUInt32LE(16 + 32));
    const wanted = Object.values(initFlag).reduce((all, flag) => all | flag, 0n);
    expect((high << 32n) | low).toBe(wanted);
    expect(reply.readUInt32LE(16 + 4)).toBe(40);
    negotiate(initRequest(7, 31, initFlag.asyncRead), reply);
    expect(reply.readUInt32LE(16 + 4)).toBe(31);
    expect(reply.readUInt32LE(16 + 12)).toBe(1);
    expect(reply.readUInt32LE(16 + 32)).toBe(0);
  });

  it("does not pretend to a kernel that is too old, and asks one that is too new again", () => {
    expect(negotiate(initRequest(7, 30, 0n), reply)).toEqual({ length: 16 });
    expect(reply.readInt32LE(4)).toBe(-71);
    expect(negotiate(initRequest(8, 0, 0n), reply).agreement).toBeUndefined();
    expect(reply.readUInt32LE(16)).toBe(7);
  });

  it("refuses what would write, and what it does not know", () => {
    for (const operation of [
      opcode.write,
      opcode.mkdir,
      opcode.setattr,
      opcode.rename2,
      opcode.setxattr,
    ]) {
      expect(errorOf(operation)).toBe(30);
    }
    for (const operation of [opcode.access, 39, 25, 9_999]) expect(errorOf(operation)).toBe(38);
  });

  it("has no answer for what needs none", () => {
    expect(session().handle(request(opcode.forget, Buffer.alloc(8)), reply).kind).toBe("none");
    expect(session().handle(request(opcode.batchForget, Buffer.alloc(8)), reply).kind).toBe("none");
  });

  it("answers ENOENT for nodes that do not exist", () => {
    for (const node of [0, 2, 4_000_000_000])
      expect(errorOf(opcode.getattr, undefined, node)).toBe(2);
  });

  it("remembers with the kernel that a name does not exist", () => {
    expect(errorOf(opcode.lookup, Buffer.from("nothing\0"))).toBe(0);
    expect(reply.readBigUInt64LE(16)).toBe(0n);
    expect(reply.readBigUInt64LE(32)).toBeGreaterThan(0n);
  });

  it("says how long attributes are, and when the room for them is too small", () => {
    const size = Buffer.alloc(8);
    expect(errorOf(opcode.listxattr, size)).toBe(0);
    expect(reply.readUInt32LE(16)).toBe(0);
    expect(errorOf(opcode.getxattr, Buffer.concat([size, Buffer.from("user.x\0")]))).toBe(61);
  });

  it("survives any request", () => {
    const served = fuseSession(filesystemOf(["a", "b"]), sharedAgreement(new Int32Array(2)), {
      onReady: () => undefined,
      onError: () => undefined,
    });
    fc.assert(
      fc.property(
        fc.nat(60),
        fc.nat(50),
        fc.uint8Array({ maxLength: 80 }),
        (operation, node, body) => {
          const { kind } = served.handle(request(operation, Buffer.from(body), node), reply);
          expect(["reply", "none", "interrupt"]).toContain(kind);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe("pages of a directory", () => {
  it("start anywhere, in any order", () => {
    const names = fc.uniqueArray(
      fc.string({
        unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCodePoint(code)),
        minLength: 1,
        maxLength: 3,
      }),
      { maxLength: 900, minLength: 200 },
    );
    fc.assert(
      fc.property(names, fc.array(fc.nat(1_000), { maxLength: 20 }), (some, places) => {
        const filesystem = filesystemOf(some);
        const pages = directoryPages(filesystem);
        const all = [".", "..", ...[...filesystem.entries(40)].map(({ name }) => name)];
        for (const place of places) {
          const page = [...pages.from(40, place)];
          expect(page.map(({ name }) => name)).toEqual(all.slice(place));
          expect(page.map((entry) => entry.place)).toEqual(page.map((_, index) => place + index));
        }
      }),
      { numRuns: 20 },
    );
  });
});
