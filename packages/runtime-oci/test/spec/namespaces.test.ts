import { describe, expect, it } from "vitest";
import type { NamespaceOption } from "@longshore/core";
import { containerNamespaces } from "../../src/spec/namespaces.ts";
import { podNamespaces } from "../../src/spec/pod-namespaces.ts";
import { checkSysctls } from "../../src/spec/sysctls.ts";
import { refusal } from "./refusal.ts";
import { specInput } from "./spec-input.ts";

const types = (options: NamespaceOption, hasOwnCgroups = false) =>
  containerNamespaces(options, {}, hasOwnCgroups).namespaces.map(({ type }) => type);

describe("namespaces of a container", () => {
  it("are all its own or its pod's, except the user's", () => {
    expect(types({})).toEqual(["mount", "network", "uts", "ipc", "pid"]);
    expect(types({}, true)).toContain("cgroup");
  });

  it("are the host's only when asked, and the host name goes with the network", () => {
    expect(types({ network: "node" })).toEqual(["mount", "ipc", "pid"]);
    expect(types({ ipc: "node", pid: "node" })).toEqual(["mount", "network", "uts"]);
  });

  it("join those that are given", async () => {
    const paths = { network: "/run/netns/a", pid: "/proc/7/ns/pid" };
    expect(containerNamespaces({ pid: "target" }, paths, false).namespaces).toEqual([
      { type: "mount" },
      { type: "network", path: "/run/netns/a" },
      { type: "uts" },
      { type: "ipc" },
      { type: "pid", path: "/proc/7/ns/pid" },
    ]);
    expect(await refusal(() => containerNamespaces({ pid: "target" }, {}, false))).toBe(
      "VALIDATION_ERROR targetId",
    );
    expect(await refusal(() => containerNamespaces({ pid: "node" }, paths, false))).toBe(
      "VALIDATION_ERROR pid",
    );
  });

  const map = (containerId: number, hostId: number, length: number) => ({
    containerId,
    hostId,
    length,
  });

  it("have one mapping of users that begins at 0", async () => {
    const good = [map(0, 100_000, 65_536)];
    const { namespaces, idMappings } = containerNamespaces(
      { usernsOptions: { mode: "pod", uids: good, gids: good } },
      {},
      false,
    );
    expect(namespaces).toContainEqual({ type: "user" });
    expect(idMappings?.uids).toEqual([{ containerID: 0, hostID: 100_000, size: 65_536 }]);
    const bad = [
      [],
      [...good, ...good],
      [map(1, 100_000, 10)],
      [map(0, 100_000, 0)],
      [map(0, -1, 10)],
      [map(0, 4_294_967_290, 10)],
      [map(0, 0.5, 10)],
    ];
    for (const uids of bad) {
      const usernsOptions = { mode: "pod", uids, gids: good } as const;
      expect(await refusal(() => containerNamespaces({ usernsOptions }, {}, false))).toBe(
        "VALIDATION_ERROR usernsOptions.uids",
      );
    }
  });

  it("that are the pod's are decided by the sandbox", async () => {
    const decide = (pod: NamespaceOption, own: NamespaceOption) => {
      const { sandbox, config } = specInput("/", {
        security: { namespaceOptions: own },
        sandbox: { linux: { securityContext: { namespaceOptions: pod } } },
      });
      return podNamespaces(sandbox, config);
    };
    expect(decide({}, {})).toEqual({ network: "pod", ipc: "pod", pid: "pod" });
    expect(decide({ network: "none" }, { network: "pod" })).toMatchObject({ network: "none" });
    expect(decide({ network: "node" }, { pid: "container" })).toMatchObject({
      network: "node",
      pid: "container",
    });
    for (const type of ["network", "ipc", "pid"] as const) {
      expect(await refusal(() => decide({}, { [type]: "node" }))).toBe(`VALIDATION_ERROR ${type}`);
    }
    expect(await refusal(() => decide({}, { network: "none" }))).toBe("VALIDATION_ERROR network");
    const mapped = (hostId: number) => {
      const mapping = [map(0, hostId, 10)];
      return { usernsOptions: { mode: "pod", uids: mapping, gids: mapping } } as const;
    };
    expect(decide(mapped(5), {})).toMatchObject(mapped(5));
    expect(decide(mapped(5), mapped(5))).toMatchObject(mapped(5));
    expect(await refusal(() => decide(mapped(5), mapped(6)))).toBe(
      "VALIDATION_ERROR usernsOptions",
    );
    const node = { usernsOptions: { mode: "node", uids: [], gids: [] } } as const;
    expect(await refusal(() => decide(mapped(5), node))).toBe("VALIDATION_ERROR usernsOptions");
  });
});

describe("kernel settings", () => {
  it("are those that the pod's namespaces hold", () => {
    const sysctls = {
      "kernel.shm_rmid_forced": "1",
      "kernel.sem": "32000 1024000000 500 32000",
      "fs.mqueue.msg_max": "100",
      "net.core.somaxconn": "1024",
      "net.ipv4.conf.eth0.rp_filter": "0",
    };
    expect(checkSysctls(sysctls, {})).toEqual(sysctls);
  });

  it.each([
    ["kernel.core_pattern", "RUNTIME_NOT_SUPPORTED"],
    ["kernel.hostname", "RUNTIME_NOT_SUPPORTED"],
    ["kernel.shmmaximum", "RUNTIME_NOT_SUPPORTED"],
    ["vm.overcommit_memory", "RUNTIME_NOT_SUPPORTED"],
    ["fs.file-max", "RUNTIME_NOT_SUPPORTED"],
    ["net.ipv4/../../kernel/core_pattern", "VALIDATION_ERROR"],
    ["net....kernel.core_pattern", "VALIDATION_ERROR"],
    ["net.", "VALIDATION_ERROR"],
    ["net", "VALIDATION_ERROR"],
    ["net.core.x\0", "VALIDATION_ERROR"],
    ["", "VALIDATION_ERROR"],
  ])("of the machine are refused: %j", async (name, code) => {
    expect(await refusal(() => checkSysctls({ [name]: "1" }, {}))).toBe(`${code} sysctls`);
  });

  it("are refused where the namespace is the host's, or the value has more lines", async () => {
    const refused = "RUNTIME_NOT_SUPPORTED sysctls";
    expect(
      await refusal(() => checkSysctls({ "net.core.somaxconn": "1" }, { network: "node" })),
    ).toBe(refused);
    expect(await refusal(() => checkSysctls({ "kernel.sem": "1" }, { ipc: "node" }))).toBe(refused);
    expect(await refusal(() => checkSysctls({ "kernel.sem": "1\n2" }, {}))).toBe(
      "VALIDATION_ERROR sysctls",
    );
  });
});
