import type { PodmanPeer, RuncPeer } from "./container-peers.ts";
import type { ContainerStack } from "./container-stack.ts";
import { percentile } from "./percentile.ts";
import type { Row } from "./table.ts";

const rounds = 31;
const warmUpRounds = 3;

export interface LifecycleBenchmark {
  readonly stack: ContainerStack;
  readonly runc: RuncPeer;
  readonly podman: PodmanPeer | undefined;
  readonly signal: AbortSignal;
}

/** One container's life and one command in it, in turns with those who do the same. */
export async function benchLifecycles(benchmark: LifecycleBenchmark): Promise<Row[]> {
  const { stack, runc, podman, signal } = benchmark;
  const { runtime } = stack;
  const podSandboxId = await stack.startSandbox(signal);
  const containerId = await stack.startContainer(podSandboxId, ["sleep", "3600"], signal);

  const live = async (sandbox: string): Promise<void> => {
    const id = await stack.startContainer(sandbox, ["true"], signal);
    const { exitCode } = (await runtime.waitContainer({ containerId: id }, { signal })) ?? {};
    if (exitCode !== 0) throw new Error(`the container ended with ${exitCode}`);
    await runtime.removeContainer({ containerId: id }, { signal });
  };
  const contenders = {
    inSandbox: () => live(podSandboxId),
    async withSandbox() {
      const own = await stack.startSandbox(signal);
      await live(own);
      await runtime.removePodSandbox({ podSandboxId: own }, { signal });
    },
    runc: () => runc.runTrue(),
    podman: () => podman?.runTrue() ?? Promise.resolve(),
    async exec() {
      const request = { containerId, cmd: ["true"] };
      const { exitCode } = await runtime.execSync(request, { signal });
      if (exitCode !== 0) throw new Error(`the command ended with ${exitCode}`);
    },
    runcExec: () => runc.execTrue(),
  };
  const took = await inTurns(contenders, signal);
  const { inSandbox, withSandbox } = took;
  await runtime.removePodSandbox({ podSandboxId }, { signal });
  const life = "create, start, wait, remove of `true`";
  return [
    { name: "runc run", value: took.runc, unit: "ms" },
    podman === undefined
      ? { name: "podman run --rm: not there, nothing to compare with (apt-get install podman)" }
      : { name: "podman run --rm, network none", value: took.podman, unit: "ms" },
    ...against({ name: `${life}, in a sandbox`, value: inSandbox }, took.runc, {
      peer: "runc run",
      atMost: 1.6,
    }),
    ...against({ name: `${life}, with a sandbox`, value: withSandbox }, took.runc, {
      peer: "runc run",
      atMost: 1.6,
    }),
    ...(podman === undefined
      ? []
      : [
          ...against({ name: `${life}, in a sandbox`, value: inSandbox }, took.podman, {
            peer: "podman",
            atMost: 0.4,
          }),
          ...against({ name: `${life}, with a sandbox`, value: withSandbox }, took.podman, {
            peer: "podman",
            atMost: 0.4,
          }),
        ]),
    { name: "runc exec of `true`", value: took.runcExec, unit: "ms" },
    ...against({ name: "exec of `true`", value: took.exec }, took.runcExec, {
      peer: "runc exec",
      atMost: 1.2,
    }),
  ];
}

function against(
  { name, value }: { readonly name: string; readonly value: number },
  peerMs: number,
  { peer, atMost }: { readonly peer: string; readonly atMost: number },
): Row[] {
  const target = `<= ${atMost.toFixed(2)}x ${peer}`;
  return [{ name, value, unit: "ms", ratio: value / peerMs, target }];
}

/** Lets each do its work once a round, and gives the medians in milliseconds: what slows the machine down meets them all. */
async function inTurns<Name extends string>(
  contenders: Readonly<Record<Name, () => Promise<void>>>,
  signal: AbortSignal,
): Promise<Record<Name, number>> {
  const entries = Object.entries(contenders) as [Name, () => Promise<void>][];
  const samples = new Map<Name, number[]>(entries.map(([name]) => [name, []]));
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    for (const [name, work] of entries) {
      signal.throwIfAborted();
      const startedAt = performance.now();
      await work();
      if (round >= 0) samples.get(name)?.push(performance.now() - startedAt);
    }
  }
  const medians = entries.map(
    ([name]) => [name, percentile(samples.get(name) ?? [], 0.5)] as const,
  );
  return Object.fromEntries(medians) as Record<Name, number>;
}
