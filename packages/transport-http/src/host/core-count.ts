import { readFile } from "node:fs/promises";

/** Physical processor cores of this host; `null` where that is not to be had. */
export async function coreCount(): Promise<number | null> {
  try {
    const cores = new Set<string>();
    let socket = "";
    for (const line of (await readFile("/proc/cpuinfo", "utf8")).split("\n")) {
      const [name = "", value = ""] = line.split(":").map((part) => part.trim());
      if (name === "physical id") socket = value;
      if (name === "core id") cores.add(`${socket}:${value}`);
    }
    return cores.size === 0 ? null : cores.size;
  } catch {
    // Only Linux tells it in this way.
    return null;
  }
}
