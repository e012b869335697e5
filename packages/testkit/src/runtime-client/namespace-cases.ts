import { readlink } from "node:fs/promises";
import type { NamespaceOption } from "@longshore/core";
import { expect } from "vitest";
import { needing, type CaseGroup } from "./case-group.ts";
import type { CaseContainer, CasePod, RuntimeCase } from "./runtime-case.ts";

type Kind = "pid" | "ipc" | "uts" | "net" | "mnt" | "user";

function namespaceOf(tools: RuntimeCase, container: CaseContainer, kind: Kind): Promise<string> {
  return tools.sh(container, `readlink /proc/self/ns/${kind}`);
}

function podIn(tools: RuntimeCase, namespaceOptions: NamespaceOption): Promise<CasePod> {
  return tools.pod({ linux: { securityContext: { namespaceOptions } } });
}

/** What containers of a pod share, and what they do not. */
export const namespaceCases: CaseGroup = (check) => {
  const pids = needing(check, "pid namespaces");
  pids("shows all processes of a pod to its containers, and no others", async (tools) => {
    const one = await tools.launch({ command: ["sleep", "100001"] });
    const two = await tools.launch({ command: ["sleep", "100002"] }, one);
    const script = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '";
    for (const container of [one, two]) {
      const seen = await tools.sh(container, script);
      for (const command of ["sleep 100001", "sleep 100002"]) expect(seen).toContain(command);
    }
    const other = await tools.launch();
    expect(await tools.sh(other, script)).not.toMatch(/sleep 10000[12]/);
    expect(await namespaceOf(tools, one, "pid")).toBe(await namespaceOf(tools, two, "pid"));
    expect(await namespaceOf(tools, one, "pid")).not.toBe(await readlink("/proc/self/ns/pid"));
  });

  pids("gives a container process numbers of its own when asked", async (tools) => {
    const pod = await podIn(tools, { pid: "container" });
    const one = await tools.launch({ command: ["sleep", "100001"] }, pod);
    const two = await tools.launch({ command: ["sleep", "100002"] }, pod);
    expect(await tools.sh(one, "tr '\\0' ' ' < /proc/1/cmdline")).toBe("sleep 100001");
    expect(await tools.sh(two, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")).not.toContain("100001");
    // Nobody reaps its children but itself, and all end with it.
    await tools.runtime.stopContainer({ ...one, timeout: 0 });
    expect(await tools.status(one)).toMatchObject({ state: "exited", exitCode: 137 });
  });

  pids("joins another container's processes when asked", async (tools) => {
    const pod = await podIn(tools, { pid: "container" });
    const target = await tools.launch({ command: ["sleep", "100001"] }, pod);
    const namespaceOptions: NamespaceOption = {
      network: "none",
      pid: "target",
      targetId: target.containerId,
    };
    const watcher = await tools.launch({ security: { namespaceOptions } }, pod);
    expect(await tools.sh(watcher, "tr '\\0' ' ' < /proc/1/cmdline")).toBe("sleep 100001");
    await expect(
      tools.create(pod, {
        security: { namespaceOptions: { ...namespaceOptions, targetId: "no-such-container" } },
      }),
    ).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  pids("gives the container of another pod to nobody as a target", async (tools) => {
    const stranger = await tools.launch({}, await podIn(tools, { pid: "container" }));
    const pod = await podIn(tools, { pid: "container" });
    const namespaceOptions: NamespaceOption = {
      network: "none",
      pid: "target",
      targetId: stranger.containerId,
    };
    await expect(tools.create(pod, { security: { namespaceOptions } })).rejects.toMatchObject({
      code: expect.stringMatching(/^(NOT_FOUND|VALIDATION_ERROR)$/),
    });
  });

  needing(check, "host namespaces")("joins the host's processes when asked", async (tools) => {
    const pod = await podIn(tools, { pid: "node" });
    const container = await tools.launch({}, pod);
    expect(await namespaceOf(tools, container, "pid")).toBe(await readlink("/proc/self/ns/pid"));
    await tools.sh(container, `[ -d /proc/${process.pid} ]`);
  });

  needing(check, "host namespaces")("joins the host's network when asked", async (tools) => {
    const config = tools.podConfig({
      linux: { securityContext: { namespaceOptions: { network: "node" } } },
      hostname: undefined,
    });
    const pod = await tools.pod(config);
    const container = await tools.launch({}, pod);
    expect(await namespaceOf(tools, container, "net")).toBe(await readlink("/proc/self/ns/net"));
    expect((await tools.runtime.podSandboxStatus(pod)).status.network).toBeUndefined();
  });

  needing(check, "ipc namespaces")(
    "shares memory in a pod, and with nobody else",
    async (tools) => {
      const one = await tools.launch();
      const two = await tools.launch({}, one);
      const other = await tools.launch();
      const [a, b, c] = await Promise.all(
        [one, two, other].map((container) => namespaceOf(tools, container, "ipc")),
      );
      expect(a).toBe(b);
      expect(a).not.toBe(c);
      expect(a).not.toBe(await readlink("/proc/self/ns/ipc"));
      await tools.sh(one, "echo shared > /dev/shm/note");
      expect(await tools.sh(two, "cat /dev/shm/note")).toBe("shared");
      expect(await tools.trySh(other, "cat /dev/shm/note")).not.toMatchObject({ exitCode: 0 });
    },
  );

  needing(check, "hostname")("gives a pod its host name", async (tools) => {
    const pod = await tools.pod({ hostname: "my-pod" });
    const container = await tools.launch({}, pod);
    expect(await tools.sh(container, "hostname; cat /etc/hostname; echo $HOSTNAME")).toBe(
      "my-pod\nmy-pod\nmy-pod",
    );
    expect(await tools.sh(await tools.launch(), "hostname")).toBe("suite-pod");
  });

  needing(check, "hostname")("refuses a host name that could do harm", async (tools) => {
    for (const hostname of ["a b", "a\nb", "-x", "x".repeat(65)]) {
      await expect(tools.pod({ hostname }), hostname).rejects.toMatchObject({
        code: "VALIDATION_ERROR",
      });
    }
  });

  needing(check, "several containers")("keeps files of a container to itself", async (tools) => {
    const one = await tools.launch();
    const two = await tools.launch({}, one);
    await tools.sh(one, "echo mine > note");
    expect(await tools.trySh(two, "cat note")).not.toMatchObject({ exitCode: 0 });
  });

  const sysctls = needing(check, "sysctls");
  sysctls("sets kernel settings of a pod", async (tools) => {
    const pod = await tools.pod({ linux: { sysctls: { "kernel.shm_rmid_forced": "1" } } });
    const container = await tools.launch({}, pod);
    expect(await tools.sh(container, "cat /proc/sys/kernel/shm_rmid_forced")).toBe("1");
    expect(await tools.sh(await tools.launch(), "cat /proc/sys/kernel/shm_rmid_forced")).toBe("0");
  });

  sysctls("refuses kernel settings that are not the pod's own", async (tools) => {
    for (const name of ["kernel.panic", "vm.swappiness", "no.such.setting", "../kernel/panic"]) {
      await expect(tools.pod({ linux: { sysctls: { [name]: "1" } } }), name).rejects.toThrow();
    }
    expect(await tools.runtime.listPodSandbox({ labelSelector: tools.labels })).toEqual([]);
  });

  const users = needing(check, "user namespaces");
  const mapping = [{ hostId: 200_000, containerId: 0, length: 65_536 }];
  users("maps a pod's users to others of the host", async (tools) => {
    const pod = await podIn(tools, {
      usernsOptions: { mode: "pod", uids: mapping, gids: mapping },
    });
    const container = await tools.launch({}, pod);
    expect(await tools.sh(container, "cat /proc/self/uid_map")).toMatch(/^\s*0\s+200000\s+65536$/);
    expect(await tools.sh(container, ": > /new; stat -c %u /new; id -u")).toBe("0\n0");
  });

  users("refuses mappings that do not fit", async (tools) => {
    for (const uids of [[], [...mapping, ...mapping], [{ ...mapping[0], containerId: 5 }]]) {
      const usernsOptions = {
        mode: "pod",
        uids,
        gids: mapping,
      } as NamespaceOption["usernsOptions"];
      await expect(podIn(tools, { usernsOptions })).rejects.toMatchObject({
        code: "VALIDATION_ERROR",
      });
    }
  });
};
