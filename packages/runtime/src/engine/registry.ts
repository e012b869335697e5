import { randomBytes } from "node:crypto";
import { LongshoreError } from "@longshore/core";
import type { ContainerEntry, SandboxEntry } from "./entries.ts";

/** Everything that lives here, by id. */
export interface Registry {
  readonly sandboxes: Map<string, SandboxEntry>;
  readonly containers: Map<string, ContainerEntry>;
  /** `undefined` when there is none. @throws {LongshoreError} `VALIDATION_ERROR` for an empty id or an ambiguous prefix */
  findSandbox(id: string): SandboxEntry | undefined;
  findContainer(id: string): ContainerEntry | undefined;
  /** @throws {LongshoreError} `SANDBOX_NOT_FOUND`, `VALIDATION_ERROR` */
  getSandbox(id: string): SandboxEntry;
  /** @throws {LongshoreError} `NOT_FOUND`, `VALIDATION_ERROR` */
  getContainer(id: string): ContainerEntry;
}

export function registry(): Registry {
  const sandboxes = new Map<string, SandboxEntry>();
  const containers = new Map<string, ContainerEntry>();
  return {
    sandboxes,
    containers,
    findSandbox: (id) => find(sandboxes, id, "sandbox"),
    findContainer: (id) => find(containers, id, "container"),
    getSandbox(id) {
      const found = find(sandboxes, id, "sandbox");
      if (found !== undefined) return found;
      throw new LongshoreError("SANDBOX_NOT_FOUND", `There is no sandbox ${shown(id)}.`);
    },
    getContainer(id) {
      const found = find(containers, id, "container");
      if (found !== undefined) return found;
      throw new LongshoreError("NOT_FOUND", `There is no container ${shown(id)}.`);
    },
  };
}

/** A new id, as long and as random as containerd's. */
export function createId(): string {
  return randomBytes(32).toString("hex");
}

/** The entry with this id, else the only one whose id begins so. */
function find<Entry>(entries: Map<string, Entry>, id: string, what: string): Entry | undefined {
  if (typeof id !== "string" || id === "") {
    throw new LongshoreError(
      "VALIDATION_ERROR",
      `The id of a ${what} is a text that is not empty.`,
    );
  }
  const exact = entries.get(id);
  if (exact !== undefined) return exact;
  let found: Entry | undefined;
  for (const [key, entry] of entries) {
    if (!key.startsWith(id)) continue;
    if (found !== undefined) {
      throw new LongshoreError(
        "VALIDATION_ERROR",
        `More than one ${what} has an id that begins with ${shown(id)}; use more of it.`,
      );
    }
    found = entry;
  }
  return found;
}

function shown(id: string): string {
  return id.length > 80 ? `${id.slice(0, 80)}…` : id;
}
