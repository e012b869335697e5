import { mkdirSync, writeFileSync } from "node:fs";
import { readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { hasCode, LongshoreError, type Logger } from "@longshore/core";
import { syncDirectory, writeWhole } from "@longshore/core/files";
import { decodeContainer, encodeContainer, type ContainerRecord } from "./container-record.ts";
import { removeKnown, removeTree, type KnownContent } from "./remove-tree.ts";
import { decodeSandbox, encodeSandbox, type SandboxRecord } from "./sandbox-record.ts";

/** A sandbox as it was found on the disk. */
export interface StoredSandbox {
  readonly record: SandboxRecord;
  readonly containers: readonly ContainerRecord[];
}

/** What was found on the disk. */
export interface StoredState {
  readonly sandboxes: readonly StoredSandbox[];
  /** Directories whose record was never finished: to be removed, when what the containers hold is released */
  readonly abandoned: readonly {
    readonly path: string;
    readonly containerIds: readonly string[];
  }[];
}

/**
 * The engine's memory that outlives it: `<sandbox>/record.json`, `<sandbox>/containers/<container>/record.json`, and
 * beside each a directory for the driver.
 */
export interface RecordStore {
  load(): Promise<StoredState>;
  /** Makes a sandbox's directory. Not on the disk yet: what a power cut takes away with it was promised to nobody. */
  addSandbox(record: SandboxRecord): Promise<void>;
  /** Durable when it resolves. */
  writeSandbox(record: SandboxRecord): Promise<void>;
  /**
   * Says that a sandbox is being stopped, so that it is never taken for ready again. Not on the disk yet: after a power cut
   * nothing of it runs anyway.
   */
  noteStopping(id: string): Promise<void>;
  removeSandbox(id: string): Promise<void>;
  /** Makes the directory of a container, so that its id is known before anything is held under it. */
  makeContainerDirectory(sandboxId: string, id: string): Promise<void>;
  writeContainer(record: ContainerRecord): Promise<void>;
  removeContainer(sandboxId: string, id: string): Promise<void>;
  sandboxDirectory(id: string): string;
  containerDirectory(sandboxId: string, id: string): string;
}

const idPattern = /^[0-9a-f]{64}$/;
const recordName = "record.json";
/** Beside a sandbox's record, and empty: whatever the record says, the sandbox is no longer ready */
const stoppingName = "stopping";
const driverName = "driver";
const containersName = "containers";
/** Whoever a container's root is mapped to must get through to its own files; the records are for nobody else. */
const mode = 0o711;

export function recordStore(directory: string, logger: Logger): RecordStore {
  const sandbox = (id: string): string => join(directory, id);
  const containers = (id: string): string => join(sandbox(id), containersName);
  const container = (sandboxId: string, id: string): string => join(containers(sandboxId), id);

  async function load(): Promise<StoredState> {
    const sandboxes: StoredSandbox[] = [];
    const abandoned: StoredState["abandoned"][number][] = [];
    for (const name of await readdir(directory)) {
      const path = join(directory, name);
      if (!idPattern.test(name)) continue;
      const ids = (await namesIn(containers(name))).filter((id) => idPattern.test(id));
      const record = await read(path, decodeSandbox, logger);
      if (record?.id !== name) {
        abandoned.push({ path, containerIds: ids });
        continue;
      }
      const found: ContainerRecord[] = [];
      for (const id of ids) {
        const one = await read(container(name, id), decodeContainer, logger);
        if (one?.id === id && one.sandboxId === name) found.push(one);
        else abandoned.push({ path: container(name, id), containerIds: [id] });
      }
      const isStopping = record.stage === "ready" && (await namesIn(path)).includes(stoppingName);
      sandboxes.push({
        record: isStopping ? { ...record, stage: "notready" } : record,
        containers: found,
      });
    }
    return { sandboxes, abandoned };
  }

  return {
    load,
    async addSandbox(record) {
      mkdirSync(sandbox(record.id), { mode });
      mkdirSync(join(sandbox(record.id), driverName), { mode });
      mkdirSync(containers(record.id), { mode });
      writeFileSync(join(sandbox(record.id), recordName), encodeSandbox(record), { mode: 0o600 });
    },
    async writeSandbox(record) {
      await writeWhole(join(sandbox(record.id), recordName), encodeSandbox(record));
      if (record.stage !== "ready") return;
      // Its directory was made without waiting.
      await syncDirectory(directory);
    },
    async noteStopping(id) {
      writeFileSync(join(sandbox(id), stoppingName), "", { mode: 0o600 });
    },
    removeSandbox: (id) => remove(sandbox(id), sandboxContent),
    async makeContainerDirectory(sandboxId, id) {
      mkdirSync(container(sandboxId, id), { mode });
      mkdirSync(join(container(sandboxId, id), driverName), { mode });
      await syncDirectory(containers(sandboxId));
    },
    writeContainer: (record) =>
      writeWhole(join(container(record.sandboxId, record.id), recordName), encodeContainer(record)),
    removeContainer: (sandboxId, id) => remove(container(sandboxId, id), containerContent),
    sandboxDirectory: (id) => join(sandbox(id), driverName),
    containerDirectory: (sandboxId, id) => join(container(sandboxId, id), driverName),
  };
}

const sandboxContent: KnownContent = {
  files: [stoppingName],
  directories: [driverName, containersName],
};
const containerContent: KnownContent = { files: [], directories: [driverName] };

/** The record goes first: what is left after a crash belongs to nobody, and is removed at the next start. */
async function remove(path: string, content: KnownContent): Promise<void> {
  await unlink(join(path, recordName)).catch((error: unknown) => {
    if (!hasCode(error, "ENOENT", "ENOTDIR")) throw error;
  });
  if (await removeKnown(path, content)) return;
  await removeTree(path);
}

/** `undefined` for what is missing or makes no sense: then it was never finished, or somebody else damaged it. */
async function read<Record>(
  directory: string,
  decode: (parsed: unknown) => Record,
  logger: Logger,
): Promise<Record | undefined> {
  let text: string;
  try {
    text = await readFile(join(directory, recordName), "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
  try {
    const parsed: unknown = JSON.parse(text);
    assertKnownVersion(parsed, directory);
    return decode(parsed);
  } catch (error) {
    if (error instanceof LongshoreError) throw error;
    logger.warn({ directory, error }, "a record cannot be read");
    return undefined;
  }
}

function assertKnownVersion(parsed: unknown, directory: string): void {
  if (typeof parsed !== "object" || parsed === null || !("version" in parsed)) return;
  if (parsed.version === 1) return;
  throw new LongshoreError(
    "CONFIG_ERROR",
    `${directory} was written by another version of the runtime; use that one.`,
    { details: { directory } },
  );
}

async function namesIn(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}
