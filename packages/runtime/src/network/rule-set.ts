import type { NetworkLease } from "./lease-store.ts";
import { leaseRules, removeRulesText, rulesText, type RuleSettings } from "./network-rules.ts";
import { runSystemCommand } from "./system-command.ts";

/** The kernel's rules for a network, kept in step with its sandboxes. */
export interface RuleSet {
  /** Everything anew in one transaction, e.g. with another port of the proxy. */
  rebuild(settings: RuleSettings): Promise<void>;
  /** Counts a sandbox in without telling the kernel, before a rebuild. */
  know(lease: NetworkLease): void;
  add(lease: NetworkLease): Promise<void>;
  remove(lease: NetworkLease): Promise<void>;
  /** Takes the tables away. */
  clear(): Promise<void>;
}

/**
 * Changes that come in while one is being applied go together in the next transaction. Whatever cannot be applied, e.g.
 * because an administrator has flushed all rules, is put right by writing the whole set anew.
 *
 * @param nft path of the program
 */
export function createRuleSet(nft: string, first: RuleSettings): RuleSet {
  let settings = first;
  const active = new Map<string, NetworkLease>();
  let pending: string[] = [];
  let turn: Promise<void> = Promise.resolve();
  let nextRun: Promise<void> | undefined;

  const apply = (text: string): Promise<string> => runSystemCommand([nft, "-f", "-"], text);
  const queue = (work: () => Promise<unknown>): Promise<void> => {
    const run = turn.then(work).then(() => {});
    turn = run.catch(() => {});
    return run;
  };
  const change = (text: string): Promise<void> => {
    pending.push(text);
    nextRun ??= queue(async () => {
      const lines = pending;
      pending = [];
      nextRun = undefined;
      try {
        await apply(`${lines.join("\n")}\n`);
      } catch {
        await apply(rulesText(settings, active.values()));
      }
    });
    return nextRun;
  };

  return {
    rebuild(next) {
      settings = next;
      return queue(() => apply(rulesText(settings, active.values())));
    },
    know(lease) {
      if (lease.index !== undefined) active.set(lease.sandboxId, lease);
    },
    async add(lease) {
      if (lease.index === undefined) return;
      active.set(lease.sandboxId, lease);
      await change(leaseRules(settings, lease, "add"));
    },
    async remove(lease) {
      if (!active.delete(lease.sandboxId)) return;
      await change(leaseRules(settings, lease, "delete"));
    },
    clear: () => queue(() => apply(`${removeRulesText(settings.plan.bridge).join("\n")}\n`)),
  };
}
