import { readFile } from "node:fs/promises";
import {
  decodeSandboxSpec,
  listSandboxes as listAll,
  LongshoreError,
  openSandbox,
  type ListedSandbox,
  type RuntimeClient,
  type SandboxSpec,
} from "@longshore/core";
import pc from "picocolors";
import { parse } from "yaml";
import { exitCodes } from "../../exit-codes.ts";
import { interruptible } from "../../interruptible.ts";
import { resultTable } from "../../result-table.ts";
import { openTerminal } from "../../terminal.ts";
import { pullDisplay } from "../image/pull-display.ts";
import { formatAge } from "./format-age.ts";
import { openHomeRuntime } from "./home-runtime.ts";
import { reachRuntime, type RuntimeFlags } from "./reach-runtime.ts";
import { runConfigs, type RunFlags } from "./run-flags.ts";
import { parseBytes } from "./parse-bytes.ts";

/** Larger ones are no specs. */
const maxSpecBytes = 1_048_576;

export interface CreateFlags extends RuntimeFlags, RunFlags {
  readonly spec?: string;
  readonly runtime?: string;
  readonly pull?: "always" | "missing" | "never";
}

/** Makes a sandbox that stays after the command. */
export async function createSandbox(
  image: string | undefined,
  flags: CreateFlags,
): Promise<number> {
  const terminal = openTerminal(flags);
  const spec = { ...(await readSpec(flags.spec)), ...specOf(flags), ...(image && { image }) };
  if (spec.image === undefined) {
    throw new LongshoreError(
      "VALIDATION_ERROR",
      "A sandbox needs an image: name it, or in --spec.",
      {
        details: { field: "image", expected: "an image reference" },
      },
    );
  }
  const { image: named } = spec;
  return interruptible(async (signal) => {
    await using home = await openHomeRuntime(flags, { signal });
    using display = pullDisplay(terminal, flags.json === true);
    await using sandbox = await openSandbox(home.runtime, {
      ...spec,
      image: named,
      images: home.images,
      keep: true,
      signal,
      onProgress: (progress) => {
        if (progress.phase === "pull") display.show(progress.pull);
      },
    });
    const { id, containerId, name, timings } = sandbox;
    if (terminal.isJson) {
      terminal.printJson({
        pod_sandbox_id: id,
        container_id: containerId,
        name,
        timings_ms: timings,
      });
    } else {
      terminal.print(
        `${pc.green("✓")} ${name}  ${id.slice(0, 12)}  ready in ${Math.round(timings.totalMs)} ms`,
      );
      terminal.print(pc.dim(`  longshore exec -it ${id.slice(0, 12)} sh`));
    }
    return exitCodes.ok;
  });
}

/** Shows the sandboxes of this home, the oldest first. */
export async function listSandboxes(flags: RuntimeFlags): Promise<number> {
  const terminal = openTerminal(flags);
  await using runtime = await reachRuntime(flags);
  const sandboxes = await listAll(runtime);
  if (terminal.isJson) {
    for (const one of sandboxes) {
      terminal.printJson({
        pod_sandbox_id: one.id,
        name: one.name,
        state: one.state,
        labels: one.labels,
        created_at: new Date(one.createdAtMs).toISOString(),
        runtime_handler: one.runtimeHandler,
      });
    }
    return exitCodes.ok;
  }
  const columns = ["sandbox", "name", "state", "created", "runtime"];
  terminal.print(
    resultTable(
      columns.map((head) => ({ head })),
      sandboxes.map(({ id, name, state, createdAtMs, runtimeHandler }) => [
        id.slice(0, 12),
        name,
        state === "ready" ? pc.green(state) : pc.yellow(state),
        formatAge(Date.now() - createdAtMs),
        runtimeHandler,
      ]),
    ),
  );
  return exitCodes.ok;
}

/** Removes sandboxes with everything in them. */
export async function removeSandboxes(
  names: readonly string[],
  flags: RuntimeFlags,
): Promise<number> {
  const terminal = openTerminal(flags);
  await using runtime = await reachRuntime(flags);
  for (const name of names) {
    const { id } = await findSandbox(runtime, name);
    await runtime.removePodSandbox({ podSandboxId: id });
    if (terminal.isJson) terminal.printJson({ pod_sandbox_id: id, outcome: "removed" });
    else terminal.print(`${name} removed`);
  }
  return exitCodes.ok;
}

async function findSandbox(runtime: RuntimeClient, text: string): Promise<ListedSandbox> {
  const all = await listAll(runtime);
  const named = all.filter(({ id, name }) => name === text || id === text);
  const found =
    named.length > 0 || text === "" ? named : all.filter(({ id }) => id.startsWith(text));
  const [first, second] = found;
  if (first === undefined) {
    throw new LongshoreError("SANDBOX_NOT_FOUND", `There is no sandbox "${text}".`);
  }
  if (second === undefined) return first;
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `"${text}" may mean any of ${found.length} sandboxes.`,
  );
}

/** A spec in a file, JSON or YAML, as in a job's `runtime.sandbox`. */
async function readSpec(file: string | undefined): Promise<Partial<SandboxSpec>> {
  if (file === undefined) return {};
  let content: Buffer;
  try {
    content = await readFile(file);
  } catch (error) {
    throw new LongshoreError("NOT_FOUND", `${file} cannot be read.`, { cause: error });
  }
  if (content.length > maxSpecBytes) {
    throw new LongshoreError("LIMIT_EXCEEDED", `${file} is longer than ${maxSpecBytes} bytes.`);
  }
  let value: unknown;
  try {
    value = parse(content.toString("utf8"), { maxAliasCount: 0 });
  } catch (error) {
    throw new LongshoreError("VALIDATION_ERROR", `${file} is neither JSON nor YAML.`, {
      cause: error,
    });
  }
  return decodeSandboxSpec(value);
}

/** What the flags say of a spec; the texts are read as `run` reads them. */
function specOf(flags: CreateFlags): Partial<SandboxSpec> {
  const { container, sandbox } = runConfigs("", [], { flags, logDirectory: "/", imageId: "" });
  const { name, memory, cpus, pids, network, workdir, user, egress, pull, runtime } = flags;
  if (network === "host") {
    throw new LongshoreError(
      "VALIDATION_ERROR",
      "A sandbox has no network of the host; --network is none or bridge.",
      {
        details: { field: "--network", expected: "none or bridge" },
      },
    );
  }
  return {
    ...(name !== undefined && { name }),
    ...(pull !== undefined && { pull }),
    ...(runtime !== undefined && { runtimeHandler: runtime }),
    ...(memory !== undefined && { memoryMb: parseBytes("--memory", memory) / 1_048_576 }),
    ...(cpus !== undefined && { cpus: Number(cpus) }),
    ...(pids !== undefined && { pids: Number(pids) }),
    ...(network !== undefined && { network }),
    ...(egress !== undefined && { egress: { allow: egress } }),
    ...(workdir !== undefined && { cwd: workdir }),
    ...(user !== undefined && { user }),
    ...(flags.readOnly === true && { readonlyRootfs: true }),
    ...(flags.env !== undefined && {
      env: Object.fromEntries((container.envs ?? []).map(({ key, value }) => [key, String(value)])),
    }),
    ...(flags.label !== undefined && {
      labels: Object.fromEntries(flags.label.map((text) => text.split(/=(.*)/s).slice(0, 2))),
    }),
    ...(flags.volume !== undefined && {
      mounts: (container.mounts ?? []).map(({ hostPath, containerPath, readonly }) => ({
        hostPath,
        path: containerPath,
        readonly,
      })),
    }),
    ...(flags.publish !== undefined && {
      ports: (sandbox.portMappings ?? []).map(({ containerPort, hostPort, hostIp, protocol }) => ({
        port: containerPort,
        hostPort,
        hostIp,
        protocol: protocol === "udp" ? "udp" : "tcp",
      })),
    }),
  };
}
