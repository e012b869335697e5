import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  allowAllPolicy,
  createJobDocument,
  jobEventEmitter,
  loadPlugins,
  runHandler,
  silentLogger,
  startWorker,
  type HandlerRunOutcome,
  type JobEvent,
} from "@longshore/core";
import { describeHandlerConformance } from "@longshore/testkit";
import { diskInspectHandler, diskPlugin } from "longshore-plugin-disk";
import { makeDemoDisk } from "longshore-plugin-disk/make-disk";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { emptyFile, patch, tempDirectory, tool } from "./disk-tools.ts";

const scratch = await tempDirectory();
const images = scratch.at("images");
const gpt = join(images, "gpt.qcow2");
const mbr = join(images, "mbr.raw");
const large = join(images, "large.raw");
const handler = diskInspectHandler({ roots: [images] });

beforeAll(async () => {
  await mkdir(images);
  await makeDemoDisk(gpt);
  await makeDemoDisk(mbr, { format: "raw", table: "mbr" });
  // All holes: it takes no room, and its checksum takes long.
  await emptyFile(large, 2 ** 38);
});

afterAll(async () => {
  await scratch[Symbol.asyncDispose]();
});

interface Inspection extends HandlerRunOutcome {
  readonly jobId: string;
  readonly events: readonly JobEvent[];
}

async function inspect(data: unknown, roots: readonly string[] = [images]): Promise<Inspection> {
  const document = createJobDocument({ operation: "disk.inspect", data });
  const { jobId } = document;
  const events: JobEvent[] = [];
  using emitter = jobEventEmitter({
    jobId,
    workerId: "test",
    firstSequence: 0,
    attempt: 1,
    maxPerSecond: 1_000,
    emit: (event) => void events.push(event),
  });
  const outcome = await runHandler({
    handler: diskInspectHandler({ roots }),
    document,
    attempt: 1,
    workerId: "test",
    signal: AbortSignal.timeout(30_000),
    logger: silentLogger,
    workRoot: scratch.at("work"),
    artifactsRoot: scratch.at("artifacts"),
    checkpoint: undefined,
    events: emitter,
    saveCheckpoint: async () => {},
  });
  return { ...outcome, jobId, events };
}

async function report(data: unknown): Promise<unknown> {
  const { outcome, error } = await inspect(data);
  expect(error).toBeUndefined();
  return outcome.data;
}

const root = {
  type: "ext4",
  label: "demo-root",
  uuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
  size_bytes: 33_554_432,
};
const boot = {
  type: "vfat",
  version: "fat16",
  label: "BOOT",
  uuid: "CAFE-0001",
  size_bytes: 16_777_216,
};
const system = {
  id: "demo",
  name: "Demo Linux",
  pretty_name: "Demo Linux 1.2 (tern)",
  version_id: "1.2",
  hostname: "demo-host",
  os_release: expect.objectContaining({ id_like: "debian" }),
};

describeHandlerConformance("disk.inspect", {
  handler,
  validPayload: { image: { path: gpt } },
  invalidPayload: { image: { format: "qcow2" } },
  longPayload: { image: { path: large, checksum: "0".repeat(64) } },
});

describe("disk.inspect", () => {
  it("finds partitions, filesystems and the operating system of a qcow2 image with a GPT", async () => {
    expect(await report({ image: { path: gpt, format: "qcow2" } })).toEqual({
      image: {
        path: gpt,
        format: "qcow2",
        virtual_size_bytes: 67_108_864,
        file_size_bytes: (await stat(gpt)).size,
        allocated_bytes: expect.any(Number),
        cluster_size_bytes: 65_536,
        compression: "zlib",
        snapshots: [],
        backing_files: [],
        checksum: "not_given",
      },
      storage: {
        partition_table: "gpt",
        disk_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        sector_size_bytes: 512,
        partitions: [
          {
            number: 1,
            start_bytes: 1_048_576,
            size_bytes: 16_777_216,
            type_id: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
            type_name: "efi-system",
            uuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
            name: "EFI system",
            bootable: false,
            filesystem: boot,
          },
          {
            number: 2,
            start_bytes: 25_165_824,
            size_bytes: 33_554_432,
            type_id: "0fc63daf-8483-4772-8e79-3d69d8477de4",
            type_name: "linux",
            uuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
            name: "root",
            bootable: false,
            filesystem: root,
          },
        ],
      },
      operating_systems: [{ partition: 2, ...system }],
      not_searched: [
        { partition: 1, filesystem: "vfat", reason: "reading files of vfat is not supported" },
      ],
      warnings: [],
    });
  });

  it("agrees with sfdisk and blkid about the partitions of a raw image with a GPT", async () => {
    const raw = join(images, "gpt.raw");
    await makeDemoDisk(raw, { format: "raw" });
    const { partitiontable } = JSON.parse(await tool("sfdisk", "--json", raw));
    const uuid = await tool("blkid", "-p", "-O", "25165824", "-o", "value", "-s", "UUID", raw);
    const found = await report({ image: { path: raw } });
    expect(found).toMatchObject({
      storage: {
        disk_id: partitiontable.id.toLowerCase(),
        partitions: partitiontable.partitions.map((partition: Record<string, unknown>) => ({
          start_bytes: Number(partition["start"]) * 512,
          size_bytes: Number(partition["size"]) * 512,
          uuid: String(partition["uuid"]).toLowerCase(),
          name: partition["name"],
        })),
      },
    });
    expect(found).toMatchObject({
      storage: { partitions: [{}, { filesystem: { uuid: uuid.trim() } }] },
    });
  });

  it("follows an MBR to its logical partitions", async () => {
    expect(await report({ image: { path: mbr } })).toMatchObject({
      image: { format: "raw", virtual_size_bytes: 67_108_864 },
      storage: {
        partition_table: "mbr",
        disk_id: "12345678",
        partitions: [
          { number: 1, type_id: "0c", bootable: true, filesystem: boot },
          { number: 2, type_id: "05", type_name: "extended", start_bytes: 24_117_248 },
          { number: 5, type_id: "83", start_bytes: 25_165_824, filesystem: root },
        ],
      },
      operating_systems: [{ partition: 5, ...system }],
    });
  });

  it("looks at a disk without partitions as a whole", async () => {
    const path = join(images, "plain.raw");
    await emptyFile(path, 8 * 1_048_576);
    await tool("mkfs.vfat", "-n", "PLAIN", path);
    expect(await report({ image: { path } })).toMatchObject({
      storage: { partition_table: "none", partitions: [], filesystem: { label: "PLAIN" } },
      not_searched: [{ partition: 0, filesystem: "vfat" }],
    });
  });

  it("finds nothing on an empty disk", async () => {
    const path = join(images, "empty.raw");
    await writeFile(path, "");
    expect(await report({ image: { path } })).toMatchObject({
      image: { virtual_size_bytes: 0 },
      storage: { partition_table: "none", partitions: [] },
      operating_systems: [],
    });
  });

  it("verifies checksum and size, and changes nothing", async () => {
    const before = createHash("sha256")
      .update(await readFile(gpt))
      .digest("hex");
    const size = (await stat(gpt)).size;
    for (const checksum of [before, `sha256:${before}`, `sha256:${before.toUpperCase()}`]) {
      expect(await report({ image: { path: gpt, checksum, size_bytes: size } })).toMatchObject({
        image: { checksum: "verified" },
      });
    }
    expect(
      createHash("sha256")
        .update(await readFile(gpt))
        .digest("hex"),
    ).toBe(before);
  });

  it("ends with IMAGE_CHECKSUM_MISMATCH for another content, and says what it found", async () => {
    const actual = createHash("sha256")
      .update(await readFile(gpt))
      .digest("hex");
    const expected = "0".repeat(64);
    const { error } = await inspect({ image: { path: gpt, checksum: `sha256:${expected}` } });
    expect(error).toMatchObject({
      code: "IMAGE_CHECKSUM_MISMATCH",
      retryable: false,
      details: { expected, actual },
    });
  });

  it("checks the tables of a qcow2 image when asked to", async () => {
    const broken = join(images, "broken.qcow2");
    await copyFile(gpt, broken);
    // The first entry of the first refcount block: the header's cluster is not in use, it says.
    const header = await readFile(broken);
    const tableAt = Number(header.readBigUInt64BE(48));
    await patch(broken, Number(header.readBigUInt64BE(tableAt)), Buffer.from([0, 0]));
    const options = { deep_scan: true };
    expect(await report({ image: { path: gpt }, options })).toMatchObject({
      image: { check: { corruptions: 0, leaks: 0 } },
    });
    expect(await report({ image: { path: broken }, options })).toMatchObject({
      image: { check: { corruptions: 1, leaks: 0 } },
    });
  });

  it("writes the report as an artifact, compressed when asked to", async () => {
    const output = { destination: "reports/disk.json.gz", compression: "gzip" };
    const { outcome, jobId } = await inspect({ image: { path: gpt }, output });
    const [artifact] = outcome.outputs?.artifacts ?? [];
    expect(artifact).toMatchObject({ path: "reports/disk.json.gz", mediaType: "application/gzip" });
    const file = join(scratch.at("artifacts"), jobId, "reports/disk.json.gz");
    expect(JSON.parse(gunzipSync(await readFile(file)).toString())).toEqual(
      JSON.parse(JSON.stringify(outcome.data)),
    );
  });

  it("refuses a destination outside of the artifacts", async () => {
    const output = { destination: "../../etc/cron.d/evil" };
    const { error } = await inspect({ image: { path: gpt }, output });
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("warns of what it was asked for and does not have", async () => {
    const options = { include_packages: true, include_users: true, include_storage: false };
    const found = await report({ image: { path: gpt }, options });
    expect(found).toMatchObject({
      warnings: [
        "include_packages is not supported by this handler",
        "include_users is not supported by this handler",
      ],
    });
    expect(found).not.toHaveProperty("storage");
  });

  it("reads on when one filesystem is broken", async () => {
    const broken = join(images, "broken-root.raw");
    await copyFile(mbr, broken);
    // The root directory's inode leads nowhere: the inode table is overwritten.
    await patch(broken, 25_165_824 + 4_096, Buffer.alloc(512 * 1_024, 0xff));
    expect(await report({ image: { path: broken } })).toMatchObject({
      operating_systems: [],
      not_searched: [{ partition: 1 }, { partition: 5, filesystem: "ext4" }],
    });
  });

  it("shows its phases in order", async () => {
    const { events } = await inspect({ image: { path: gpt } });
    expect(events.map(({ phase }) => phase)).toEqual([
      "validation",
      "disk_attach",
      "disk_inspection",
      "os_detection",
      "result_generation",
      "cleanup",
    ]);
    expect(events.at(-1)).toMatchObject({ progressPercent: 100 });
  });

  it("runs as a job in a worker", async () => {
    await using worker = await startWorker({
      plugins: [diskPlugin({ roots: [images] })],
      policy: allowAllPolicy(),
      workDir: scratch.at("worker"),
    });
    const job = await worker.submit({
      operation: "disk.inspect",
      payloadType: "guestkit.inspect.v1",
      data: { image: { path: gpt } },
    });
    const result = await job.result({ signal: AbortSignal.timeout(20_000) });
    expect(result).toMatchObject({
      status: "completed",
      data: { operating_systems: [{ pretty_name: "Demo Linux 1.2 (tern)" }] },
    });
  });

  it("is cancelled while it reads a large image", async () => {
    await using worker = await startWorker({
      plugins: [diskPlugin({ roots: [images] })],
      policy: allowAllPolicy(),
      workDir: scratch.at("worker"),
    });
    const job = await worker.submit({
      operation: "disk.inspect",
      data: { image: { path: large, checksum: "0".repeat(64) } },
    });
    await vi.waitFor(
      async () => {
        expect((await worker.get(job.jobId))?.state).toBe("running");
      },
      { timeout: 20_000 },
    );
    await worker.cancel(job.jobId);
    const result = await job.result({ signal: AbortSignal.timeout(20_000) });
    expect(result).toMatchObject({ status: "cancelled", error: { code: "CANCELLED" } });
  });
});

describe("disk.inspect keeps to its directories", () => {
  it.each([
    "/etc/passwd",
    "/no/such/file",
    "images/gpt.qcow2",
    join(images, "..", "secret.raw"),
    `${images}/../secret.raw`,
    `${images}-other/disk.raw`,
    images,
    "/",
    "nbd:unix:/run/socket",
    'json:{"driver":"file","filename":"/etc/passwd"}',
  ])("refuses %s", async (path) => {
    const { error } = await inspect({ image: { path } });
    expect(error).toMatchObject({ code: "POLICY_DENIED", retryable: false });
  });

  it("refuses links that lead out, and takes those that stay in", async () => {
    await makeDemoDisk(scratch.at("secret.raw"), { format: "raw" });
    await symlink(scratch.at("secret.raw"), join(images, "out.raw"));
    await symlink(scratch.path, join(images, "out"));
    await symlink("mbr.raw", join(images, "in.raw"));
    for (const name of ["out.raw", "out/secret.raw"]) {
      const { error } = await inspect({ image: { path: join(images, name) } });
      expect(error).toMatchObject({ code: "POLICY_DENIED" });
    }
    expect(await report({ image: { path: join(images, "in.raw") } })).toMatchObject({
      storage: { partition_table: "mbr" },
    });
  });

  it("works when a root is a link itself", async () => {
    const link = scratch.at("linked-images");
    await symlink(images, link);
    const { outcome } = await inspect({ image: { path: join(link, "gpt.qcow2") } }, [link]);
    expect(outcome.data).toMatchObject({ storage: { partition_table: "gpt" } });
  });

  it("says that an image is missing, and takes regular files only", async () => {
    await tool("mkfifo", join(images, "pipe"));
    await mkdir(join(images, "folder"));
    const codes = await Promise.all(
      ["missing.raw", "pipe", "folder"].map(
        async (name) => (await inspect({ image: { path: join(images, name) } })).error,
      ),
    );
    expect(codes).toMatchObject([
      { code: "NOT_FOUND" },
      { code: "VALIDATION_ERROR" },
      { code: "VALIDATION_ERROR" },
    ]);
  });

  it("reads backing files inside, and no others", async () => {
    await makeDemoDisk(scratch.at("outside.qcow2"));
    const make = async (name: string, backing: string): Promise<string> => {
      const path = join(images, name);
      await tool(
        "qemu-img",
        "create",
        "-q",
        "-f",
        "qcow2",
        "-u",
        "-b",
        backing,
        "-F",
        "qcow2",
        path,
        "64M",
      );
      return path;
    };
    const layered = await make("layered.qcow2", "gpt.qcow2");
    expect(await report({ image: { path: layered } })).toMatchObject({
      image: { backing_files: [gpt] },
      operating_systems: [{ id: "demo" }],
    });
    for (const backing of ["../outside.qcow2", scratch.at("outside.qcow2"), "/etc/passwd"]) {
      const { error } = await inspect({ image: { path: await make("escape.qcow2", backing) } });
      expect(error).toMatchObject({ code: "POLICY_DENIED" });
    }
    for (const backing of ["nbd://localhost/x", 'json:{"driver":"nbd"}', "file:/etc/passwd"]) {
      const { error } = await inspect({ image: { path: await make("remote.qcow2", backing) } });
      expect(error).toMatchObject({ code: "DISK_UNREADABLE" });
    }
    const { error } = await inspect({
      image: { path: await make("circle.qcow2", "circle.qcow2") },
    });
    expect(error).toMatchObject({ code: "DISK_UNREADABLE" });
  });

  it("does not take a raw image for something else when its format is given", async () => {
    // A guest may write what it likes to the first bytes of its raw disk, e.g. a header that names a file of the host.
    const path = join(images, "disguised.raw");
    await tool(
      "qemu-img",
      "create",
      "-q",
      "-f",
      "qcow2",
      "-u",
      "-b",
      "/etc/passwd",
      "-F",
      "raw",
      path,
      "64M",
    );
    expect(await report({ image: { path, format: "raw" } })).toMatchObject({
      image: { format: "raw", backing_files: [], virtual_size_bytes: (await stat(path)).size },
    });
    expect((await inspect({ image: { path } })).error).toMatchObject({ code: "POLICY_DENIED" });
  });

  it.each([
    { why: "external data", args: ["-o", "data_file=/etc/passwd,data_file_raw=on"] },
    {
      why: "encryption",
      // LUKS is the same to a reader, but takes seconds to measure how fast the processor is, and fails now and then.
      args: ["--object", "secret,id=s,data=pw", "-o", "encrypt.format=aes,encrypt.key-secret=s"],
    },
    { why: "extended L2 entries", args: ["-o", "extended_l2=on"] },
  ])("refuses images with $why", async ({ why, args }) => {
    const path = join(images, `${why.replaceAll(" ", "-")}.qcow2`);
    const safe = args.map((arg) => arg.replace("/etc/passwd", join(images, "data.raw")));
    await tool("qemu-img", "create", "-q", "-f", "qcow2", ...safe, path, "64M");
    const { error } = await inspect({ image: { path } });
    expect(error).toMatchObject({ code: "DISK_UNREADABLE", retryable: false });
  });

  it("refuses a payload that asks for writing", async () => {
    const { error } = await inspect({ image: { path: gpt, read_only: false } });
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("needs at least one directory, and absolute ones", () => {
    expect(() => diskInspectHandler({ roots: [] })).toThrow(TypeError);
    expect(() => diskInspectHandler({ roots: ["images"] })).toThrow(TypeError);
  });
});

describe("the disk plugin", () => {
  it("is loaded by name and reads its directories from the environment", async () => {
    const [plugin] = await loadPlugins(["longshore-plugin-disk"], { from: process.cwd() });
    const registerHandler = vi.fn<(handler: { readonly name: string }) => void>();
    const host = { logger: silentLogger, registerHandler, registerTransport() {} };
    vi.stubEnv("LONGSHORE_DISK_ROOTS", `${images}:/srv/images`);
    await plugin?.setup(host);
    vi.stubEnv("LONGSHORE_DISK_ROOTS", "");
    expect(() => plugin?.setup(host)).toThrow("LONGSHORE_DISK_ROOTS");
    vi.unstubAllEnvs();
    expect(registerHandler).toHaveBeenCalledOnce();
    expect(registerHandler.mock.calls[0]?.[0].name).toBe("disk-inspect");
  });
});
