import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { isMarked, type Leak, type LeakScope } from "./leak.ts";

const maxRulesetBytes = 67_108_864;

/** Network interfaces whose names begin as the scope says, or whose alias is marked. */
export async function findLinks(scope: LeakScope): Promise<readonly Leak[]> {
  const found: Leak[] = [];
  for (const name of await readdir("/sys/class/net").catch(() => [])) {
    const file = (attribute: string): Promise<string> =>
      readFile(`/sys/class/net/${name}/${attribute}`, "utf8").then(
        (text) => text.trim(),
        () => "",
      );
    const isOurs =
      scope.linkPrefixes.some((prefix) => name.startsWith(prefix)) ||
      isMarked(await file("ifalias"), scope);
    if (!isOurs) continue;
    found.push({ kind: "network interface", id: `${name} ${await file("ifindex")}`, text: name });
  }
  return found;
}

/** Tables, chains, rules and sets of nft that are marked: by their table's name, or by a comment. */
export async function findRules(scope: LeakScope): Promise<readonly Leak[]> {
  const found: Leak[] = [];
  for (const item of await ruleset()) {
    const text = JSON.stringify(item, (key, value: unknown) =>
      // Counters go on, and handles change when a rule is written anew.
      key === "handle" || key === "counter" ? undefined : value,
    );
    if (!isMarked(text, scope)) continue;
    found.push({ kind: "nft rule", id: text, text: text.slice(0, 300) });
  }
  return found;
}

/** Empty where there is no nft: then nobody made rules with it. */
function ruleset(): Promise<readonly unknown[]> {
  return new Promise((resolve, reject) => {
    const options = {
      maxBuffer: maxRulesetBytes,
      env: { PATH: `${process.env["PATH"]}:/usr/sbin` },
    };
    execFile("nft", ["--json", "list", "ruleset"], options, (error, stdout) => {
      if (error !== null) {
        if (error.code === "ENOENT" || process.getuid?.() !== 0) resolve([]);
        else reject(new Error("nft cannot list its rules", { cause: error }));
        return;
      }
      const { nftables = [] } = JSON.parse(stdout) as { readonly nftables?: readonly unknown[] };
      resolve(nftables);
    });
  });
}
