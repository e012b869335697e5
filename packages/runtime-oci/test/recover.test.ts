import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DriverContainerSpec, DriverSandboxSpec, DriverRecoverProblem } from "@longshore/core";
import { ociDriver } from "../src/oci-driver.ts";
import {
  canRun,
  command,
  logText,
  openMachine,
  run,
  text,
  type TestMachine,
} from "./fixtures/test-machine.ts";

const program = fileURLToPath(new URL("fixtures/host-program.ts", import.meta.url));

describe.skipIf(!canRun)("sandboxes after the death of their program (needs root and runc)", () => {
  let machine: TestMachine;
  beforeAll(async () => {
    machine = await openMachine();
  });
  afterAll(async () => {
    await machine[Symbol.asyncDispose]();
  });

  /** Starts them in a program of their own, and kills that. */
  const leave = async (
    sandbox: DriverSandboxSpec,
    containers: readonly DriverContainerSpec[],
    how: "killed" | "leave" = "killed",
  ): Promise<void> => {
    const plan = join(machine.path, `${sandbox.id}.json`);
    const stateDirectory = join(machine.path, "state");
    await writeFile(plan, JSON.stringify({ stateDirectory, sandbox, containers }));
    const host = spawn(process.execPath, ["--conditions=@longshore/source", program, plan, how], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(host.stdout, "data");
    if (how === "killed") host.kill("SIGKILL");
    await once(host, "close");
  };

  it("finds 20 containers again: ends, logs, attaching, executing and stopping", async () => {
    const sandbox = await machine.sandboxSpec();
    const specs = await Promise.all(
      Array.from({ length: 20 }, async (_, index) =>
        machine.containerSpec(
          index < 10
            ? `read x; i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done; exit ${index}`
            : "while read line; do echo got $line; done",
          { process: { stdin: true }, config: { stdinOnce: true } },
        ),
      ),
    );
    const early = await machine.containerSpec("echo early; exit 42");
    await leave(sandbox, [early, ...specs]);

    const recovered = await ociDriver({ stateDirectory: join(machine.path, "state") }).recover([
      sandbox,
    ]);
    const found = recovered.get(sandbox.id);
    expect([...(found?.containers.keys() ?? [])].toSorted()).toEqual(
      [early, ...specs].map(({ id }) => id).toSorted(),
    );
    expect(await found?.containers.get(early.id)?.exit).toMatchObject({ exitCode: 42 });
    const numbers = Array.from({ length: 2_000 }, (_, index) => `${index}\n`).join("");
    await Promise.all(
      specs.map(async ({ id, log }, index) => {
        const container = found?.containers.get(id);
        if (container === undefined) throw new Error(`${id} is missing`);
        expect(container.user).toMatchObject({ uid: 0, gid: 0 });
        await using session = await container.attach({ stdin: true });
        await session.stdin.write("word\n");
        if (index < 10) {
          expect(await text(session.stdout)).toBe(numbers);
          expect(await container.exit).toMatchObject({ exitCode: index });
          expect(await logText(log?.path ?? "", "stdout")).toBe(numbers);
        } else if (index < 15) {
          await session.stdin.end();
          expect(await text(session.stdout)).toBe("got word\n");
          expect(await container.exit).toMatchObject({ exitCode: 0 });
        } else {
          const process = await container.exec(command("echo executed"));
          expect(await text(process.stdout)).toBe("executed\n");
          await container.signal("SIGKILL");
          expect(await container.exit).toMatchObject({ signal: "SIGKILL" });
        }
        await container.remove();
      }),
    );
    // What the dead program had executed has ended with it.
    const { stdout } = await run("ps", ["-eo", "args"]);
    expect(stdout).not.toContain("sleep 555");
    await found?.sandbox.teardown();
    await found?.sandbox.ended;
    expect(await machine.leftovers()).toEqual([]);
  });

  it("lets a program end that disposed of its driver, and leaves the containers running", async () => {
    const sandbox = await machine.sandboxSpec();
    const spec = await machine.containerSpec("read x; echo got $x; exit 9", {
      process: { stdin: true },
    });
    await leave(sandbox, [spec], "leave");
    const found = (await machine.driver.recover([sandbox])).get(sandbox.id);
    const container = found?.containers.get(spec.id);
    const session = await container?.attach({ stdin: true });
    await session?.stdin.write("word\n");
    expect(await container?.exit).toMatchObject({ exitCode: 9 });
    await found?.sandbox.teardown();
    expect(await machine.leftovers()).toEqual([]);
  });

  it("takes down what nobody knows any more, and leaves what another running program has", async () => {
    const orphan = await machine.sandboxSpec();
    await leave(orphan, [await machine.containerSpec("trap '' TERM; sleep 444 & sleep 444; true")]);
    expect(await machine.leftovers()).not.toEqual([]);
    const recovered = await machine.driver.recover([]);
    expect(recovered.size).toBe(0);
    expect(await machine.leftovers()).toEqual([]);
  });

  it("ends what nobody knows though its monitor was stopped, and finds the others meanwhile", async () => {
    const known = await machine.sandboxSpec();
    const living = await machine.containerSpec("sleep 445; true");
    await leave(known, [living]);
    const orphan = await machine.sandboxSpec();
    const stuck = await machine.containerSpec("trap '' TERM; sleep 446; true");
    await leave(orphan, [stuck]);
    const { stdout } = await run("ps", ["-eo", "pid,args"]);
    const line = stdout.split("\n").find((each) => each.includes(`longshore-monitor ${stuck.id}`));
    process.kill(Number(line?.trim().split(" ")[0]), "SIGSTOP");
    const problems: DriverRecoverProblem[] = [];
    const recovered = await machine.driver.recover([known], {
      onProblem: (problem) => problems.push(problem),
    });
    expect(problems).toEqual([
      { sandboxId: orphan.id, message: expect.stringContaining(stuck.id) },
    ]);
    expect([...recovered.keys()]).toEqual([known.id]);
    const after = await run("ps", ["-eo", "args"]);
    expect(after.stdout).not.toContain("sleep 446");
    expect(after.stdout).toContain("sleep 445");
    await recovered.get(known.id)?.sandbox.teardown();
    expect(await machine.leftovers()).toEqual([]);
  });

  it("ends a container whose monitor died, and says that its end is not known", async () => {
    const sandbox = await machine.sandboxSpec();
    const made = await machine.driver.prepare(sandbox);
    const spec = await machine.containerSpec("sleep 333; true");
    const container = await made.start(spec);
    const { stdout } = await run("ps", ["-eo", "pid,args"]);
    const monitor = stdout
      .split("\n")
      .find((line) => line.includes(`longshore-monitor ${spec.id}`));
    process.kill(Number(monitor?.trim().split(" ")[0]), "SIGKILL");
    await expect(container.exit).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    const recovered = await machine.driver.recover([sandbox]);
    const found = recovered.get(sandbox.id)?.containers.get(spec.id);
    await expect(found?.exit).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    const after = await run("ps", ["-eo", "args"]);
    expect(after.stdout).not.toContain("sleep 333");
    await found?.remove();
    await made.teardown();
    expect(await machine.leftovers()).toEqual([]);
  });

  it("says when a sandbox is down because its process 1 died", async () => {
    const sandbox = await machine.sandboxSpec();
    const made = await machine.driver.prepare(sandbox);
    const container = await made.start(await machine.containerSpec("sleep 222; true"));
    const { stdout } = await run("cat", [
      `/sys/fs/cgroup/freezer/longshore/${sandbox.id}/init/cgroup.procs`,
    ]);
    process.kill(Number(stdout.trim()), "SIGKILL");
    await made.ended;
    expect(await container.exit).toMatchObject({ signal: "SIGKILL" });
    expect((await machine.driver.recover([sandbox])).size).toBe(0);
    await made.teardown();
    expect(await machine.leftovers()).toEqual([]);
  });
});
