import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { memoryEventBus, type EgressRules, type EventEnvelope } from "@longshore/core";
import { vi } from "vitest";
import type { EgressDecision, EgressOptions, SandboxNetworkSetup } from "../../src/index.ts";
import { openInternet, type Internet, type RemoteProgram } from "../network/internet.ts";
import {
  environment,
  must,
  podConfig,
  run,
  testNetwork,
  within,
  type CommandResult,
  type TestNetwork,
} from "../network/network-fixture.ts";

export interface EgressWorld extends AsyncDisposable {
  readonly internet: Internet;
  readonly server: RemoteProgram;
  readonly net: TestNetwork;
  /** Certificates of the internet's own authority, as a file */
  readonly authorityFile: string;
  /** What names resolve to; a test may change it */
  readonly names: Map<string, readonly string[]>;
  /** Names that were asked for */
  readonly lookups: string[];
  readonly decisions: EventEnvelope<EgressDecision & { sandboxId: string; suppressed?: number }>[];
  open(sandboxId: string, rules: EgressRules): Promise<Sandbox>;
  /** Waits until a refusal for a reason has been told. */
  denied(reason: string): Promise<void>;
}

export interface Sandbox {
  readonly setup: SandboxNetworkSetup;
  /** Environment as a process in the sandbox has it, with the host's paths of the files */
  readonly env: Record<string, string>;
  curl(...args: string[]): Promise<CommandResult>;
  python(program: string, ...args: string[]): Promise<CommandResult>;
  /** Sends bytes to the proxy as they are and returns all that comes back. */
  raw(...parts: string[]): Promise<string>;
}

/** A network with an internet behind it, where `*.example.com` and `*.example.org` are. */
export async function egressWorld(options: EgressOptions = {}): Promise<EgressWorld> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-egress-"));
  await makeCertificates(directory);
  const authorityFile = join(directory, "authority.crt");
  const internet = await openInternet();
  const script = fileURLToPath(new URL("internet-server.ts", import.meta.url));
  const server = await internet.start([process.execPath, script, internet.address, directory]);
  const names = new Map<string, readonly string[]>(
    ["api.example.com", "www.example.com", "api.example.org"].map((name) => [
      name,
      [internet.address],
    ]),
  );
  const lookups: string[] = [];
  const decisions: EgressWorld["decisions"] = [];
  const events = memoryEventBus();
  events.on("worker.*.*", (event) => {
    decisions.push(event as EgressWorld["decisions"][number]);
  });
  const net = await testNetwork({
    events,
    subnet6: "none",
    egress: {
      certificateAuthorities: [await readFile(authorityFile, "utf8")],
      resolve: async (host) => {
        lookups.push(host);
        const found = names.get(host);
        if (found === undefined) throw Object.assign(new Error(`${host}?`), { code: "ENOTFOUND" });
        return found;
      },
      ...options,
    },
  });

  return {
    internet,
    server,
    net,
    authorityFile,
    names,
    lookups,
    decisions,
    async open(sandboxId, rules) {
      const setup = await net.open(sandboxId, podConfig({ egress: rules }));
      return sandbox(setup);
    },
    async denied(reason) {
      await vi.waitFor(
        () => {
          if (decisions.some(({ data }) => data.reason === reason)) return;
          throw new Error(
            `no "${reason}" among ${JSON.stringify(decisions.map(({ data }) => data))}`,
          );
        },
        { timeout: 20_000 },
      );
    },
    async [Symbol.asyncDispose]() {
      try {
        await net[Symbol.asyncDispose]();
      } finally {
        await internet[Symbol.asyncDispose]();
        await events[Symbol.asyncDispose]();
        await rm(directory, { recursive: true, force: true });
      }
    },
  };
}

function sandbox(setup: SandboxNetworkSetup): Sandbox {
  const env = environment(setup);
  for (const [name, value] of Object.entries(env)) {
    const onHost = setup.files?.[value];
    if (onHost !== undefined) env[name] = onHost;
  }
  const inside = (...argv: string[]): Promise<CommandResult> => run(within(setup, ...argv), env);
  const proxy = new URL(env["HTTP_PROXY"] ?? "");
  return {
    setup,
    env,
    curl: (...args) => inside("curl", "-s", "-m20", ...args),
    python: (program, ...args) => inside("python3", "-c", program, ...args),
    async raw(...parts) {
      const { stdout, stderr } = await inside(
        "python3",
        "-c",
        rawClient,
        proxy.hostname,
        proxy.port,
        ...parts,
      );
      return stdout + stderr;
    },
  };
}

const rawClient = `
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 15)
for part in sys.argv[3:]:
    s.sendall(part.encode('latin1').decode('unicode_escape').encode('latin1'))
s.settimeout(15)
try:
    while True:
        d = s.recv(65536)
        if not d: print('<closed>'); break
        sys.stdout.write(d.decode('latin1')); sys.stdout.flush()
except Exception as e: print('<' + type(e).__name__ + '>')
`;

/** An authority, a server's certificate from it, and one from nobody. */
async function makeCertificates(directory: string): Promise<void> {
  const file = (name: string): string => join(directory, name);
  const names = "subjectAltName=DNS:*.example.com,DNS:*.example.org";
  await writeFile(file("names.cnf"), `${names}\n`);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const request = ["openssl", "req", ...newKey, "-days", "30", "-batch"];
  const authority = ["-keyout", file("authority.key"), "-out", file("authority.crt")];
  await must(...request, "-x509", "-subj", "/CN=Test authority", ...authority);
  await must(
    ...request,
    "-subj",
    "/CN=server",
    "-keyout",
    file("server.key"),
    "-out",
    file("server.csr"),
  );
  const signed = ["-CA", file("authority.crt"), "-CAkey", file("authority.key"), "-CAcreateserial"];
  const made = ["-extfile", file("names.cnf"), "-days", "30", "-out", file("server.crt")];
  await must("openssl", "x509", "-req", "-in", file("server.csr"), ...signed, ...made);
  const stranger = ["-keyout", file("stranger.key"), "-out", file("stranger.crt")];
  await must(...request, "-x509", "-subj", "/CN=api.example.com", "-addext", names, ...stranger);
}
