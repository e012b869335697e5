import { nanosecondsToMs, type ContainerState, type RuntimeClient } from "@longshore/core";
import pc from "picocolors";
import { exitCodes } from "../../exit-codes.ts";
import { resultTable } from "../../result-table.ts";
import { openTerminal } from "../../terminal.ts";
import { listFound, type FoundContainer } from "./find-container.ts";
import { formatAge } from "./format-age.ts";
import { reachRuntime, type RuntimeFlags } from "./reach-runtime.ts";

export interface PsFlags extends RuntimeFlags {
  readonly all?: boolean;
}

/** Shows the containers that run, or all of them. */
export async function listContainers(flags: PsFlags): Promise<number> {
  const terminal = openTerminal(flags);
  await using runtime = await reachRuntime(flags);
  const found = (await listFound(runtime)).filter(
    ({ container }) => flags.all === true || container.state === "running",
  );
  const rows = await Promise.all(found.map((one) => describe(runtime, one)));
  if (terminal.isJson) {
    for (const row of rows) terminal.printJson(row);
    return exitCodes.ok;
  }
  const columns = ["container", "name", "image", "state", "created", "address", "runtime"];
  terminal.print(
    resultTable(
      columns.map((head) => ({ head })),
      rows.map((row) => [
        row.container_id.slice(0, 12),
        row.name,
        row.image,
        colour(row.state, row.exit_code),
        formatAge(Date.now() - Date.parse(row.created_at)),
        row.address ?? "",
        row.runtime_handler,
      ]),
    ),
  );
  return exitCodes.ok;
}

async function describe(runtime: RuntimeClient, { container, sandbox }: FoundContainer) {
  const [{ status }, pod] = await Promise.all([
    runtime.containerStatus({ containerId: container.id }),
    runtime.podSandboxStatus({ podSandboxId: sandbox.id }),
  ]);
  return {
    container_id: container.id,
    pod_sandbox_id: sandbox.id,
    name: sandbox.metadata.name,
    image: container.image.userSpecifiedImage ?? container.image.image,
    image_id: container.imageId,
    state: status.state,
    ...(status.state === "exited" && { exit_code: status.exitCode, reason: status.reason }),
    created_at: new Date(nanosecondsToMs(container.createdAt)).toISOString(),
    address: pod.status.network?.ip,
    runtime_handler: sandbox.runtimeHandler,
  };
}

function colour(state: ContainerState, exitCode = 0): string {
  switch (state) {
    case "running":
      return pc.green(state);
    case "exited":
      return exitCode === 0 ? pc.dim("exited (0)") : pc.yellow(`exited (${exitCode})`);
    case "created":
      return pc.cyan(state);
    case "unknown":
      return pc.red(state);
    default:
      return state satisfies never;
  }
}
