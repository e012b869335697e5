import { describe, expect, it } from "vitest";
import { findCommand } from "../../src/capability/find-command.ts";
import { findFeatures, findFormats } from "../../src/capability/find-tools.ts";
import { commandFolder } from "./command-folder.ts";

const timeoutMs = 20_000;
const help = (formats: string) =>
  `[ "$1" = --help ] || exit 1; echo 'qemu-img version 8.2'; echo 'Supported formats: ${formats}'; echo; echo 'See also'`;

describe("features", () => {
  it("come from the tools that are there", async () => {
    await using folder = await commandFolder();
    for (const command of ["qemu-img", "lvm", "qemu-nbd", "prlimit", "git"]) {
      await folder.add(command, ":");
    }
    expect(await findFeatures(folder.path)).toEqual(["qemu-img", "lvm", "nbd", "prlimit", "git"]);
  });

  it("do not come from files that cannot be run", async () => {
    await using folder = await commandFolder();
    await folder.add("git", ":", 0o644);
    expect(await findFeatures(folder.path)).not.toContain("git");
  });
});

describe("disk formats", () => {
  it("are those that qemu-img lists, without its protocols and filters", async () => {
    await using folder = await commandFolder();
    await folder.add("qemu-img", help("blkdebug file https luks qcow2 quorum raw vmdk"));
    expect(await findFormats({ path: folder.path, timeoutMs })).toEqual({
      disk: ["raw", "qcow2", "vmdk"],
    });
  });

  it.each([
    ["fails", `${help("raw")}; exit 1`],
    ["says something else", "echo 'raw qcow2'"],
    ["lists nothing", help("")],
    ["hangs", "exec /bin/sleep 600"],
  ])("are none when qemu-img %s", async (_what, script) => {
    await using folder = await commandFolder();
    await folder.add("qemu-img", script);
    expect(await findFormats({ path: folder.path, timeoutMs: 1_000 })).toEqual({});
  });

  it("of this machine's own qemu-img have raw and qcow2", async ({ skip }) => {
    const path = process.env["PATH"] ?? "";
    if ((await findCommand("qemu-img", path)) === undefined) skip("qemu-img is not installed");
    const { disk } = await findFormats({ path, timeoutMs });
    expect(disk).toEqual(expect.arrayContaining(["raw", "qcow2"]));
  });
});
