import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { listMounts, parseMountInfo } from "../../src/mount/mount-info.ts";

const byte = fc.integer({ min: 1, max: 255 }).map((code) => String.fromCodePoint(code));
const path = fc.string({ unit: byte, maxLength: 12 }).map((text) => `/${text}`);

/** As the kernel writes it. */
function escape(text: string): string {
  return text.replaceAll(
    /[ \t\n\\]/g,
    (character) => `\\${(character.codePointAt(0) ?? 0).toString(8).padStart(3, "0")}`,
  );
}

describe("the list of mounts", () => {
  it("is read with any number of optional fields", () => {
    const text = [
      "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue",
      String.raw`37 36 0:50 / /a\040b\134c rw - fuse.x some\011where ro,user_id=0`,
      "38 36 0:51 / /-/- ro shared:5 - tmpfs - rw",
      "",
    ].join("\n");
    expect(parseMountInfo(text)).toEqual([
      {
        id: 36,
        parentId: 35,
        device: "98:0",
        root: "/mnt1",
        target: "/mnt2",
        options: ["rw", "noatime"],
        type: "ext3",
        source: "/dev/root",
        superOptions: ["rw", "errors=continue"],
      },
      expect.objectContaining({
        target: String.raw`/a b\c`,
        type: "fuse.x",
        source: "some\twhere",
      }),
      expect.objectContaining({ target: "/-/-", source: "-", superOptions: ["rw"] }),
    ]);
  });

  it("gives back any path", () => {
    fc.assert(
      fc.property(
        path,
        path,
        fc.array(fc.constantFrom("shared:1", "master:2")),
        (target, source, tags) => {
          const fields = ["1", "2", "0:3", "/", escape(target), "rw", ...tags, "-", "erofs"];
          const line = [...fields, escape(source), "ro"].join(" ");
          expect(parseMountInfo(`${line}\n${line}\n`)).toMatchObject([
            { target, source },
            { target, source },
          ]);
        },
      ),
    );
  });

  it("never fails on anything else", () => {
    fc.assert(
      fc.property(fc.string({ unit: byte, maxLength: 200 }), (text) => {
        expect(Array.isArray(parseMountInfo(text))).toBe(true);
      }),
    );
  });

  it("knows what is mounted here", () => {
    expect(listMounts()).toContainEqual(expect.objectContaining({ target: "/proc", type: "proc" }));
  });
});
