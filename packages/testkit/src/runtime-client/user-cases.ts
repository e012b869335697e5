import type { LinuxContainerSecurityContext } from "@longshore/core";
import { expect } from "vitest";
import { needing, type CaseGroup } from "./case-group.ts";
import type { CaseContainer, RuntimeCase } from "./runtime-case.ts";

const ids = 'echo "$(id -u) $(id -g) $(id -G)"';

/** A container whose first process wrote who it is to a file, and keeps running. */
async function launchAs(
  tools: RuntimeCase,
  security: LinuxContainerSecurityContext,
): Promise<CaseContainer & { readonly first: string }> {
  const script = `(${ids}) > /dev/shm/ids; sleep 100000`;
  const container = await tools.launch({ command: ["sh", "-c", script], security });
  const first = await tools.sh(
    container,
    "until [ -s /dev/shm/ids ]; do sleep 0.02; done; cat /dev/shm/ids",
  );
  return { ...container, first };
}

/** Who a container's processes are. The image knows the user `worker` (1000) of the group `crew` (50000). */
export const userCases: CaseGroup = (check) => {
  const user = needing(check, "users", "image files");

  user("runs a container as root when nothing else is said", async (tools) => {
    expect((await launchAs(tools, {})).first).toMatch(/^0 0 /);
  });

  user("runs a container, and commands in it, as the user it is told", async (tools) => {
    const container = await launchAs(tools, { runAsUser: 1234, runAsGroup: 5678 });
    expect(container.first).toBe("1234 5678 5678");
    expect(await tools.sh(container, ids)).toBe("1234 5678 5678");
  });

  user("takes the group of a user from the image", async (tools) => {
    const container = await launchAs(tools, { runAsUser: 1000 });
    expect(container.first).toMatch(/^1000 1000 /);
  });

  user("gives a user that the image does not know the group 0", async (tools) => {
    expect((await launchAs(tools, { runAsUser: 4321 })).first).toMatch(/^4321 0 /);
  });

  user("finds a user by its name in the image", async (tools) => {
    const container = await launchAs(tools, { runAsUsername: "worker" });
    expect(container.first).toMatch(/^1000 1000 /);
  });

  user("refuses a user name that the image does not know", async (tools) => {
    const pod = await tools.pod();
    const security = { runAsUsername: "no-such-user" };
    await expect(
      (async () => {
        await tools.runtime.startContainer(await tools.create(pod, { security }));
      })(),
    ).rejects.toThrow();
    const containers = await tools.runtime.listContainers({ podSandboxId: pod.podSandboxId });
    expect(containers.map(({ state }) => state)).not.toContain("running");
  });

  user("refuses a group without a user", async (tools) => {
    const pod = await tools.pod();
    await expect(tools.create(pod, { security: { runAsGroup: 1234 } })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  user("adds the image's groups to those asked for", async (tools) => {
    const security = { runAsUser: 1000, supplementalGroups: [1234] };
    const container = await launchAs(tools, security);
    const groups = (text: string): readonly string[] => text.split(" ").slice(2).toSorted();
    expect(groups(container.first)).toEqual(["1000", "1234", "50000"]);
    expect(groups(await tools.sh(container, ids))).toEqual(["1000", "1234", "50000"]);
    const { user: shown } = await tools.status(container);
    expect(shown?.linux).toMatchObject({ uid: 1000, gid: 1000 });
    expect([...(shown?.linux.supplementalGroups ?? [])].toSorted((a, b) => a - b)).toEqual([
      1000, 1234, 50_000,
    ]);
  });

  user("leaves the image's groups out when the policy is strict", async (tools) => {
    const container = await launchAs(tools, {
      runAsUser: 1000,
      supplementalGroups: [1234],
      supplementalGroupsPolicy: "strict",
    });
    const groups = (text: string): readonly string[] => text.split(" ").slice(2).toSorted();
    expect(groups(container.first)).toEqual(["1000", "1234"]);
    expect(groups(await tools.sh(container, ids))).toEqual(["1000", "1234"]);
    expect((await tools.status(container)).user?.linux.supplementalGroups.toSorted()).toEqual([
      1000, 1234,
    ]);
  });
};
