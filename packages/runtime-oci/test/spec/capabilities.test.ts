import { describe, expect, it } from "vitest";
import { containerCapabilities, ociCapabilities } from "../../src/spec/capabilities.ts";
import {
  capabilityNames,
  defaultCapabilities,
  parseCapabilityMask,
  type CapabilityName,
} from "../../src/spec/capability-names.ts";
import { refusal } from "./refusal.ts";

const all = new Set(capabilityNames);
const few: ReadonlySet<CapabilityName> = new Set(["CHOWN", "KILL", "NET_ADMIN"]);
const held = (capabilities: object, available: ReadonlySet<CapabilityName> = all) => [
  ...containerCapabilities({ capabilities }, available).held,
];

describe("capabilities of a container", () => {
  it("are the usual fourteen when nothing is said", () => {
    expect(defaultCapabilities).toHaveLength(14);
    expect(held({})).toEqual(defaultCapabilities);
  });

  it("take ALL first, then what is added, then what is dropped", () => {
    expect(held({ addCapabilities: ["ALL"] })).toEqual(capabilityNames);
    expect(held({ dropCapabilities: ["ALL"] })).toEqual([]);
    expect(held({ dropCapabilities: ["ALL"], addCapabilities: ["NET_ADMIN"] })).toEqual([
      "NET_ADMIN",
    ]);
    expect(held({ dropCapabilities: ["ALL"], addCapabilities: ["ALL"] })).toEqual([]);
    expect(held({ addCapabilities: ["KILL"], dropCapabilities: ["KILL"] })).not.toContain("KILL");
    expect(held({ addCapabilities: ["ALL"], dropCapabilities: ["SYS_ADMIN"] })).toHaveLength(40);
  });

  it("may be written as the kernel does", () => {
    expect(held({ dropCapabilities: ["all"], addCapabilities: ["CAP_NET_RAW", "kill"] })).toEqual([
      "NET_RAW",
      "KILL",
    ]);
  });

  it("leave out what cannot be given, unless it was asked for by name", async () => {
    expect(held({}, few)).toEqual(["CHOWN", "KILL"]);
    expect(held({ addCapabilities: ["ALL"] }, few)).toEqual([...few].toSorted());
    expect(await refusal(() => held({ addCapabilities: ["SYS_ADMIN"] }, few))).toBe(
      "RUNTIME_NOT_SUPPORTED capabilities",
    );
    expect(await refusal(() => held({ addAmbientCapabilities: ["SYS_ADMIN"] }, few))).toBe(
      "RUNTIME_NOT_SUPPORTED capabilities",
    );
  });

  it("are all of the program's for a privileged container", () => {
    const context = { privileged: true, capabilities: { dropCapabilities: ["ALL"] } };
    expect(containerCapabilities(context, few).held).toEqual(few);
  });

  it("are inheritable only when they are ambient", () => {
    const context = {
      capabilities: {
        dropCapabilities: ["ALL"],
        addCapabilities: ["KILL"],
        addAmbientCapabilities: ["CHOWN"],
      },
    };
    expect(ociCapabilities(containerCapabilities(context, all))).toEqual({
      bounding: ["CAP_CHOWN", "CAP_KILL"],
      effective: ["CAP_CHOWN", "CAP_KILL"],
      permitted: ["CAP_CHOWN", "CAP_KILL"],
      inheritable: ["CAP_CHOWN"],
      ambient: ["CAP_CHOWN"],
    });
  });

  it("are refused by names that are none", async () => {
    for (const name of ["NET_ADMINN", "", "CAP_", "CAP_CAP_KILL", "toString"]) {
      expect(await refusal(() => held({ dropCapabilities: [name] }))).toBe(
        "VALIDATION_ERROR dropCapabilities",
      );
    }
  });

  it("are read from a mask by the numbers of the kernel", () => {
    expect(parseCapabilityMask("00000000a80425fb")).toEqual(new Set(defaultCapabilities));
    expect(parseCapabilityMask("000001fffeffffff").has("SYS_RESOURCE")).toBe(false);
    expect(parseCapabilityMask("ffffffffffffffff").size).toBe(41);
  });
});
