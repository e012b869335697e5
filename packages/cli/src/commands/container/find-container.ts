import {
  LongshoreError,
  type Container,
  type PodSandbox,
  type RuntimeClient,
} from "@longshore/core";

/** A container with the sandbox it is in. */
export interface FoundContainer {
  readonly container: Container;
  readonly sandbox: PodSandbox;
}

/** All containers with their sandboxes, newest first. */
export async function listFound(
  runtime: RuntimeClient,
  signal?: AbortSignal,
): Promise<readonly FoundContainer[]> {
  const [containers, sandboxes] = await Promise.all([
    runtime.listContainers({}, { signal }),
    runtime.listPodSandbox({}, { signal }),
  ]);
  const byId = new Map(sandboxes.map((sandbox) => [sandbox.id, sandbox]));
  return containers
    .flatMap((container) => {
      const sandbox = byId.get(container.podSandboxId);
      return sandbox === undefined ? [] : [{ container, sandbox }];
    })
    .toSorted((a, b) => (a.container.createdAt < b.container.createdAt ? 1 : -1));
}

/**
 * Finds the container that a user means: by the name or id of its sandbox, or its own id; ids may be shortened. Of several
 * containers in one sandbox it must be the container's own id.
 *
 * @throws {LongshoreError} `NOT_FOUND`; `VALIDATION_ERROR` when several are meant
 */
export async function findContainer(
  runtime: RuntimeClient,
  text: string,
  signal?: AbortSignal,
): Promise<FoundContainer> {
  const all = await listFound(runtime, signal);
  const tests: readonly ((one: FoundContainer) => boolean)[] = [
    ({ container, sandbox }) => text === container.id || text === sandbox.id,
    ({ sandbox }) => text === sandbox.metadata.name,
    ({ container, sandbox }) => container.id.startsWith(text) || sandbox.id.startsWith(text),
  ];
  for (const isMeant of text === "" ? [] : tests) {
    const found = all.filter(isMeant);
    const [first] = found;
    if (first === undefined) continue;
    if (found.length === 1) return first;
    const ids = found.map(({ container }) => container.id.slice(0, 12)).join(", ");
    throw new LongshoreError("VALIDATION_ERROR", `"${text}" may mean any of ${ids}.`, {
      details: { ids: found.map(({ container }) => container.id) },
    });
  }
  throw new LongshoreError(
    "NOT_FOUND",
    `There is no container "${text}"; longshore ps --all shows those there are.`,
  );
}
