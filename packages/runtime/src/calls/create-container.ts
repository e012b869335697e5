import { join } from "node:path";
import {
  LongshoreError,
  mergeImageConfig,
  nanosecondsFromMs,
  type Abortable,
  type ContainerConfig,
  type CreateContainerRequest,
  type ImageConfig,
} from "@longshore/core";
import { demandOf } from "../admission/demand.ts";
import { announceContainer } from "../engine/announce.ts";
import { checkContainerConfig } from "../engine/check-container-config.ts";
import { invalid } from "../engine/check-fields.ts";
import type { Engine } from "../engine/engine.ts";
import type { SandboxEntry } from "../engine/entries.ts";
import { createId } from "../engine/registry.ts";
import type { Reservation } from "../engine/reservations.ts";
import { requireUp, unreachable, wrapped } from "../engine/requirements.ts";
import { sandboxDemand } from "../engine/sandbox-demand.ts";
import { containerEntry, containerKey } from "../engine/sandbox-entry.ts";
import { parseSignalName } from "../engine/signal-names.ts";
import { anySignal, untilUndone } from "../engine/turn-queue.ts";
import { undoList, type UndoList } from "../engine/undo-list.ts";
import type { ContainerRecord } from "../records/container-record.ts";
import { driverContainerSpec } from "./container-spec.ts";
import { fileOwners, holdFiles } from "./container-files.ts";

export async function createContainer(
  engine: Engine,
  { podSandboxId, config: given }: CreateContainerRequest,
  { signal }: Abortable = {},
): Promise<string> {
  signal?.throwIfAborted();
  engine.closing.throwIfAborted();
  const sandbox = engine.registry.getSandbox(podSandboxId);
  requireUp(sandbox);
  const config = withTarget(engine, sandbox, checkContainerConfig(given, sandbox.config));
  const { name } = config.metadata;
  const what = `The container "${name}" of the sandbox ${sandbox.id}`;
  const reservation = engine.reservations.reserve(containerKey(sandbox.id, config), what);
  const inner = anySignal(signal, sandbox.leaving.signal, engine.closing);
  const work = make(engine, sandbox, { config, reservation, signal: inner });
  sandbox.creating.add(work);
  void work.finally(() => sandbox.creating.delete(work)).catch(() => undefined);
  return untilUndone(work, signal);
}

interface Making {
  readonly config: ContainerConfig;
  readonly reservation: Reservation;
  readonly signal: AbortSignal;
}

async function make(engine: Engine, sandbox: SandboxEntry, making: Making): Promise<string> {
  const { config, reservation, signal } = making;
  const { records, registry, images } = engine;
  const id = createId();
  const undo = undoList(engine.logger);
  undo.add("name", () => reservation[Symbol.dispose]());
  try {
    reservation.stage = "admission";
    takeRoom(engine, sandbox, { id, config, undo });

    reservation.stage = "image";
    const { image } = await images.imageStatus({ image: config.image }, { signal });
    if (image === undefined) throw imageNotFound(config.image.image);

    reservation.stage = "root filesystem";
    signal.throwIfAborted();
    undo.add("record", () => records.removeContainer(sandbox.id, id));
    await records.makeContainerDirectory(sandbox.id, id);
    for (const owner of fileOwners({ id, config })) {
      undo.add("root filesystem", () => images.releaseRootfs(owner));
    }
    const { driver } = sandbox;
    if (driver === undefined) throw unreachable(sandbox);
    const files = await holdFiles(engine, {
      id,
      imageId: image.id,
      config,
      driver,
      sandbox,
      signal,
    });

    reservation.stage = "check";
    const { stopSignal, ...process } = mergeImageConfig(
      withNetworkEnv(files.imageConfig, sandbox),
      config,
    );
    const record: ContainerRecord = {
      id,
      sandboxId: sandbox.id,
      config,
      imageId: image.id,
      imageRef: image.repoDigests[0] ?? image.id,
      createdAt: nanosecondsFromMs(Date.now()),
      state: "created",
      startedAt: 0n,
      finishedAt: 0n,
      exitCode: 0,
      stopSignal: parseSignalName(stopSignal),
      isPaused: false,
      process,
      rootfs: files.rootfs,
      driverMounts: files.driverMounts,
      ...(config.linux?.resources !== undefined && { resources: config.linux.resources }),
      ...logPathOf(sandbox, config),
    };
    const entry = Object.assign(containerEntry(record, sandbox, reservation), { isHeld: true });
    const up = requireUp(sandbox);
    await sandbox.driverTurn.run(
      () => up.check(driverContainerSpec(engine, entry), { signal }),
      signal,
    );

    reservation.stage = "record";
    signal.throwIfAborted();
    await records.writeContainer(record);
    signal.throwIfAborted();
    reservation.id = id;
    sandbox.containers.set(id, entry);
    registry.containers.set(id, entry);
    announceContainer(engine, "created", entry);
    return id;
  } catch (error) {
    reservation.stage = `giving back after a failure at: ${reservation.stage}`;
    await undo.run();
    throw signal.aborted ? signal.reason : wrapped(error, "EXECUTION_ERROR");
  }
}

function takeRoom(
  { admission }: Engine,
  sandbox: SandboxEntry,
  making: { readonly id: string; readonly config: ContainerConfig; readonly undo: UndoList },
): void {
  const { id, config, undo } = making;
  const { demands } = sandbox;
  const update = (): void =>
    admission.change(sandbox.id, sandboxDemand(sandbox.record, demands.values()));
  demands.set(id, demandOf(config.linux?.resources));
  undo.add("admission", () => {
    demands.delete(id);
    update();
  });
  update();
}

/** The container whose process namespace is wanted, by its full id. */
function withTarget(
  { registry }: Engine,
  sandbox: SandboxEntry,
  config: ContainerConfig,
): ContainerConfig {
  const { linux } = config;
  const context = linux?.securityContext;
  const namespaces = context?.namespaceOptions;
  if (namespaces?.pid !== "target") return config;
  const target = registry.getContainer(namespaces.targetId ?? "");
  if (target.sandbox !== sandbox) {
    throw invalid(
      "config.linux.securityContext.namespaceOptions.targetId",
      "is of another sandbox.",
    );
  }
  const namespaceOptions = { ...namespaces, targetId: target.id };
  return { ...config, linux: { ...linux, securityContext: { ...context, namespaceOptions } } };
}

/** What the network adds wins over the image and loses to the container. */
function withNetworkEnv(image: ImageConfig, { record }: SandboxEntry): ImageConfig {
  return { ...image, env: [...image.env, ...(record.network?.env ?? [])] };
}

function logPathOf(
  { config: { logDirectory = "" } }: SandboxEntry,
  { logPath = "" }: ContainerConfig,
): { readonly logPath?: string } {
  return logDirectory === "" || logPath === "" ? {} : { logPath: join(logDirectory, logPath) };
}

function imageNotFound(image: string): LongshoreError {
  return new LongshoreError(
    "IMAGE_NOT_FOUND",
    `The image ${JSON.stringify(image.slice(0, 300))} is not in the store; pull it first.`,
    { details: { image: image.slice(0, 300) } },
  );
}
