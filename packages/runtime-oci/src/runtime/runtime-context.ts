import type { CgroupHierarchies } from "../cgroup/hierarchies.ts";
import type { HostFacts } from "../spec/host-facts.ts";
import type { PerlHelper } from "../perl/perl-helper.ts";
import type { DriverLife } from "./driver-life.ts";
import type { RuntimeKind } from "./runtime-kind.ts";

/** What every sandbox of a driver is made with. */
export interface RuntimeContext {
  readonly life: DriverLife;
  /** Path of Perl */
  readonly perl: string;
  readonly helper: PerlHelper;
  /** The driver's name */
  readonly name: string;
  readonly kind: RuntimeKind;
  /** Path of the OCI runtime */
  readonly binary: string;
  /** The driver's notes, and the OCI runtime's */
  readonly stateDirectory: string;
  /** Absent when this program may not use cgroups */
  readonly hierarchies: CgroupHierarchies | undefined;
  readonly host: HostFacts;
  /** Whether the OCI runtime must not see the mount of version 2 beside that of version 1 */
  readonly hidesUnified: boolean;
  /** Why a kernel of a container's own cannot take over a network here; absent when it can */
  readonly networkLack?: string | undefined;
}
