import type { OciRuntime, PodmanPeer, RuntimePeer } from "./container-peers.ts";
import type { ContainerStack } from "./container-stack.ts";
import { percentile } from "./percentile.ts";
import type { Row } from "./table.ts";

const rounds = 31;
const warmUpRounds = 3;

/** An OCI runtime alone, and the engine over it. */
export interface RuntimePair {
  readonly runtime: OciRuntime;
  readonly peer: RuntimePeer;
  readonly stack: ContainerStack;
}

export interface LifecycleBenchmark {
  readonly pairs: readonly RuntimePair[];
  readonly podman: PodmanPeer | undefined;
  readonly signal: AbortSignal;
}

type Contender = "in a sandbox" | "with a sandbox" | "run" | "exec" | "own exec";
type Name = `${OciRuntime}: ${Contender}` | "podman";

/** One container's life and one command in it, in turns with those who do the same. */
export async function benchLifecycles(benchmark: LifecycleBenchmark): Promise<Row[]> {
  const { pairs, podman, signal } = benchmark;
  const contenders = new Map<Name, () => Promise<void>>();
  const ends: (() => Promise<void>)[] = [];
  for (const { runtime: name, peer, stack } of pairs) {
    const { runtime } = stack;
    const podSandboxId = await stack.startSandbox(signal);
    const containerId = await stack.startContainer(podSandboxId, ["sleep", "3600"], signal);
    ends.push(() => runtime.removePodSandbox({ podSandboxId }, { signal }));
    contenders
      .set(`${name}: run`, () => peer.runTrue())
      .set(`${name}: in a sandbox`, () => live(stack, podSandboxId, signal))
      .set(`${name}: with a sandbox`, async () => {
        const own = await stack.startSandbox(signal);
        await live(stack, own, signal);
        await runtime.removePodSandbox({ podSandboxId: own }, { signal });
      })
      .set(`${name}: own exec`, () => peer.execTrue())
      .set(`${name}: exec`, async () => {
        const request = { containerId, cmd: ["true"] };
        const { exitCode } = await runtime.execSync(request, { signal });
        if (exitCode !== 0) throw new Error(`the command ended with ${exitCode}`);
      });
  }
  if (podman !== undefined) contenders.set("podman", () => podman.runTrue());
  const took = await inTurns(contenders, signal);
  for (const end of ends) await end();
  return toRows(pairs, (name) => took.get(name));
}

/** A container of `true`: made, started, waited for, removed. */
async function live(
  { runtime, startContainer }: ContainerStack,
  podSandboxId: string,
  signal: AbortSignal,
): Promise<void> {
  const containerId = await startContainer(podSandboxId, ["true"], signal);
  const { exitCode } = (await runtime.waitContainer({ containerId }, { signal })) ?? {};
  if (exitCode !== 0) throw new Error(`the container ended with ${exitCode}`);
  await runtime.removeContainer({ containerId }, { signal });
}

function toRows(pairs: readonly RuntimePair[], took: (name: Name) => number | undefined): Row[] {
  const rows: Row[] = pairs.map(({ runtime }) => ({
    name: `${runtime} run of \`true\``,
    value: took(`${runtime}: run`) ?? Number.NaN,
    unit: "ms",
  }));
  const podmanMs = took("podman");
  rows.push(
    podmanMs === undefined
      ? { name: "podman run --rm: not there, nothing to compare with (apt-get install podman)" }
      : { name: "podman run --rm, network none", value: podmanMs, unit: "ms" },
  );
  const runcMs = took("runc: run") ?? Number.NaN;
  for (const { runtime } of pairs) {
    for (const kind of ["in a sandbox", "with a sandbox"] as const) {
      const name = `create, start, wait, remove of \`true\` by ${runtime}, ${kind}`;
      const life = { name, value: took(`${runtime}: ${kind}`) ?? Number.NaN };
      rows.push(against(life, runcMs, "<= 1.60x runc run"));
      if (runtime !== "runc") {
        const own = took(`${runtime}: run`) ?? Number.NaN;
        rows.push(against(life, own, `none; against ${runtime} run`));
      }
      if (podmanMs !== undefined) rows.push(against(life, podmanMs, "<= 0.40x podman"));
    }
  }
  for (const { runtime } of pairs) {
    const own = took(`${runtime}: own exec`) ?? Number.NaN;
    const name = `exec of \`true\` by ${runtime}`;
    rows.push(
      { name: `${runtime} exec of \`true\``, value: own, unit: "ms" },
      against(
        { name, value: took(`${runtime}: exec`) ?? Number.NaN },
        own,
        runtime === "runc" ? "<= 1.20x runc exec" : `none; against ${runtime} exec`,
      ),
    );
  }
  return rows;
}

function against(
  { name, value }: { readonly name: string; readonly value: number },
  peerMs: number,
  target: string,
): Row {
  return { name, value, unit: "ms", ratio: value / peerMs, target };
}

/** Lets each do its work once a round, and gives the medians in milliseconds: what slows the machine down meets them all. */
async function inTurns(
  contenders: ReadonlyMap<Name, () => Promise<void>>,
  signal: AbortSignal,
): Promise<ReadonlyMap<Name, number>> {
  const samples = new Map<Name, number[]>([...contenders.keys()].map((name) => [name, []]));
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    for (const [name, work] of contenders) {
      signal.throwIfAborted();
      const startedAt = performance.now();
      await work();
      if (round >= 0) samples.get(name)?.push(performance.now() - startedAt);
    }
  }
  return new Map([...samples].map(([name, ms]) => [name, percentile(ms, 0.5)]));
}
