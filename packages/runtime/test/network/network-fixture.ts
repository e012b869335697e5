import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PodSandboxConfig } from "@longshore/core";
import {
  bridgeNetwork,
  type BridgeNetworkOptions,
  type SandboxNetwork,
  type SandboxNetworkSetup,
} from "../../src/index.ts";

/** With CI=true nothing is skipped: the tests fail and say what is missing. */
export const cannotMakeNetworks =
  process.env["CI"] !== "true" && (process.platform !== "linux" || process.getuid?.() !== 0);

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever its exit code. */
export function run(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
  const [command = "", ...args] = argv;
  const path = `${process.env["PATH"]}:/usr/sbin:/sbin`;
  const options = { env: { PATH: path, ...env }, timeout: 60_000, maxBuffer: 64 * 1024 * 1024 };
  return new Promise((resolve) => {
    execFile(command, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

/** Runs a program that must succeed, and returns what it printed. */
export async function must(...argv: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(argv);
  if (code !== 0) throw new Error(`${argv.join(" ")}: exit ${code}: ${stderr}${stdout}`);
  return stdout;
}

/** Argument list of a program in a sandbox's network. */
export function within(setup: SandboxNetworkSetup, ...argv: string[]): string[] {
  return ["nsenter", `--net=${setup.namespacePath ?? ""}`, ...argv];
}

/** The setup's environment as an object. */
export function environment(setup: SandboxNetworkSetup): Record<string, string> {
  const pairs = (setup.env ?? []).map((line) => {
    const at = line.indexOf("=");
    return [line.slice(0, at), line.slice(at + 1)] as const;
  });
  return Object.fromEntries(pairs);
}

export function podConfig(more: Partial<PodSandboxConfig> = {}): PodSandboxConfig {
  return { metadata: { name: "web", uid: "1", namespace: "test" }, hostname: "web", ...more };
}

export function withNetwork(network: "pod" | "node" | "none"): PodSandboxConfig {
  return podConfig({ linux: { securityContext: { namespaceOptions: { network } } } });
}

export interface TestNetwork extends AsyncDisposable {
  readonly network: SandboxNetwork;
  readonly name: string;
  readonly directory: string;
  readonly options: BridgeNetworkOptions;
  /** Sets a sandbox up that goes with the network. */
  open(sandboxId: string, config?: PodSandboxConfig): Promise<SandboxNetworkSetup>;
}

/** A network of its own for one test, after which nothing of it may be left on the host. */
export async function testNetwork(more: Partial<BridgeNetworkOptions> = {}): Promise<TestNetwork> {
  const directory = more.directory ?? (await mkdtemp(join(tmpdir(), "longshore-network-")));
  const name = more.name ?? `lt${randomBytes(4).toString("hex")}`;
  const options = { ...more, directory, name };
  const network = bridgeNetwork(options);
  const opened = new Set<string>();
  return {
    network,
    name,
    directory,
    options,
    open(sandboxId, config = podConfig()) {
      opened.add(sandboxId);
      return network.setUp({ sandboxId, config });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...opened].map((sandboxId) => network.tearDown(sandboxId)));
      await network[Symbol.asyncDispose]();
      const left = await leftovers(name, directory);
      await rm(directory, { recursive: true, force: true });
      if (left.length > 0) throw new Error(`left on the host: ${left.join("; ")}`);
    },
  };
}

/** What of a network is on the host: links, tables of rules, namespaces. */
export async function leftovers(name: string, directory: string): Promise<readonly string[]> {
  const { networkIdentity } = await import("../../src/network/network-plan.ts");
  const { linkPrefix } = networkIdentity(name, directory);
  const links = (await readdir("/sys/class/net")).filter(
    (link) => link === name || link.startsWith(linkPrefix),
  );
  const tables = (await must("nft", "list", "tables"))
    .split("\n")
    .filter((line) => line.split(" ").includes(name));
  const mounts = (await readFile("/proc/self/mountinfo", "utf8"))
    .split("\n")
    .filter((line) => line.includes(`${directory}/`));
  return [...links, ...tables, ...mounts];
}
