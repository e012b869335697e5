import type { NamespaceOption } from "@longshore/core";
import { invalid, unsupported } from "./spec-error.ts";

/**
 * Settings that the kernel keeps for each IPC namespace.
 *
 * @see https://man7.org/linux/man-pages/man7/ipc_namespaces.7.html
 */
const ipcSysctls: ReadonlySet<string> = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shm_rmid_forced",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
]);

/**
 * Checks kernel settings of a pod: only those that its own namespaces hold, never one of the whole machine. Names are
 * written with dots; runtimes make paths of them, so nothing else may be in them.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a name or value that cannot be one, `RUNTIME_NOT_SUPPORTED` for one that
 *   is the host's
 */
export function checkSysctls(
  sysctls: Readonly<Record<string, string>>,
  options: NamespaceOption,
): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(sysctls)) {
    const shown = JSON.stringify(name.slice(0, 128));
    if (!/^[a-z\d_-]+(\.[\w-]+)+$/i.test(name)) {
      throw invalid("sysctls", `A kernel setting is named like net.core.somaxconn, not ${shown}.`);
    }
    if (value.length > 1_024 || /[\0\r\n]/.test(value)) {
      throw invalid("sysctls", `The value of ${shown} is one line of 1024 characters at most.`);
    }
    const isIpc = ipcSysctls.has(name) || name.startsWith("fs.mqueue.");
    if (!isIpc && !name.startsWith("net.")) {
      throw unsupported(
        "sysctls",
        `${shown} is a setting of the whole machine, not of a namespace.`,
      );
    }
    const isHosts = isIpc ? options.ipc === "node" : options.network === "node";
    if (isHosts) {
      throw unsupported(
        "sysctls",
        `${shown} would change the host: the namespace is not the pod's.`,
      );
    }
  }
  return sysctls;
}
