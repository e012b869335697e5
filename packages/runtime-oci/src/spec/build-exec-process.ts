import type { NamespaceOption, ProcessSpec } from "@longshore/core";
import { containerCapabilities, ociCapabilities } from "./capabilities.ts";
import type { ProcessInput } from "./container-spec-input.ts";
import { isMapped, userMappings } from "./namespaces.ts";
import type { OciProcess } from "./oci-spec.ts";
import { podNamespaces } from "./pod-namespaces.ts";
import { checkArguments, checkWorkingDirectory, processEnvironment } from "./process-strings.ts";
import { readAccounts, resolveUser } from "./resolve-user.ts";
import { clampOomScoreAdj } from "./resources.ts";
import { clampRlimits } from "./rlimits.ts";
import { appArmorProfile } from "./security-labels.ts";
import { invalid } from "./spec-error.ts";

/**
 * A further process of a running container, as `exec --process` takes it: with the container's rights, and the user that
 * `process` names.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, `RUNTIME_NOT_SUPPORTED` with the setting in `details.field`
 */
export async function buildExecProcess(input: ProcessInput): Promise<OciProcess> {
  const { sandbox, config, process, rootPath, host } = input;
  const context = config.linux?.securityContext;
  refusePrivileged(input);
  const [accounts, cwd] = await Promise.all([
    input.accounts ?? readAccounts(rootPath),
    checkWorkingDirectory(process.workingDir, rootPath),
  ]);
  const { home, ...user } = resolveUser(accounts, process.user ?? "0", context);
  const namespaces = podNamespaces(sandbox, config);
  checkMapped(namespaces, user);
  const hasHostNetwork = namespaces.network === "node";
  const profile = appArmorProfile(config, host);
  return {
    ...terminal(process),
    user,
    args: checkArguments(process.argv),
    env: processEnvironment(process.env, {
      home,
      hostname: (hasHostNetwork ? undefined : sandbox.hostname) || host.hostname,
      tty: process.tty,
    }),
    cwd,
    capabilities: ociCapabilities(containerCapabilities(context, host.boundingCapabilities)),
    noNewPrivileges: context?.noNewPrivs ?? false,
    oomScoreAdj: clampOomScoreAdj(config.linux?.resources?.oomScoreAdj, host),
    ...(input.rlimits && { rlimits: clampRlimits(input.rlimits, host) }),
    ...(profile !== undefined && { apparmorProfile: profile }),
  };
}

function refusePrivileged({ sandbox, config }: ProcessInput): void {
  const mayBePrivileged = sandbox.linux?.securityContext?.privileged === true;
  if (config.linux?.securityContext?.privileged === true && !mayBePrivileged) {
    throw invalid("privileged", "The sandbox was not made for privileged containers.");
  }
}

function checkMapped(
  { usernsOptions }: NamespaceOption,
  { uid, gid, additionalGids }: OciProcess["user"],
): void {
  const idMappings = userMappings(usernsOptions);
  if (idMappings === undefined) return;
  if (
    !isMapped(idMappings.uids, uid) ||
    ![gid, ...additionalGids].every((id) => isMapped(idMappings.gids, id))
  ) {
    throw invalid(
      "usernsOptions",
      `User ${uid}:${gid} or a group of it is not in the user namespace.`,
    );
  }
}

function terminal({
  tty,
  terminalSize,
}: ProcessSpec): Pick<OciProcess, "terminal" | "consoleSize"> {
  if (!tty || terminalSize === undefined) return { terminal: tty };
  const { width, height } = terminalSize;
  // The kernel keeps both in 16 bits.
  if (![width, height].every((size) => Number.isInteger(size) && size >= 0 && size <= 0xff_ff)) {
    throw invalid("terminalSize", "A terminal has 0 to 65535 columns and rows.");
  }
  return { terminal: true, consoleSize: { width, height } };
}
