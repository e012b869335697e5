import { silentLogger, type AuthConfig } from "@longshore/core";
import PQueue from "p-queue";
import { createAuthenticator, type Authenticator } from "../auth/authenticator.ts";
import { readAuthConfig } from "../auth/credentials.ts";
import { dockerCredentials } from "../auth/docker-credentials.ts";
import type { ImageSource } from "../image-source.ts";
import type { ImageTarget } from "../image-target.ts";
import { registryTarget } from "../push/registry-target.ts";
import { parseReference, type ImageReference } from "../reference.ts";
import { clientSettings, type RegistryClientOptions } from "./client-options.ts";
import { createDispatchers } from "./dispatchers.ts";
import { hostOptions, registryUrl } from "./registry-host.ts";
import { registrySource } from "./registry-source.ts";
import { createRepository, type Repository } from "./repository.ts";

export interface RegistryAccessOptions {
  /** Credentials for this registry, instead of those the client finds by itself; never sent to its mirrors */
  readonly auth?: AuthConfig | undefined;
}

export interface RegistryTargetAccess extends RegistryAccessOptions {
  /**
   * Bytes of a piece when blobs are sent in several requests; one piece for each upload is held in memory. Absent: a blob
   * is sent in one request.
   */
  readonly chunkBytes?: number | undefined;
}

/**
 * Speaks with registries. It keeps connections and tokens, so that one client serves many images.
 *
 * Disposing closes all connections: what is under way fails.
 */
export interface RegistryClient extends AsyncDisposable {
  /** To read an image. */
  source(reference: ImageReference, options?: RegistryAccessOptions): ImageSource;
  /** To write an image. */
  target(reference: ImageReference, options?: RegistryTargetAccess): ImageTarget;
}

/**
 * A client for registries of the OCI distribution specification and of Docker.
 *
 * @throws {RangeError} for options that make no sense
 */
export function createRegistryClient(options: RegistryClientOptions = {}): RegistryClient {
  const settings = clientSettings(options);
  const { env, hosts, parallelism } = settings;
  const { credentials = dockerCredentials({ env }), logger = silentLogger } = options;
  const context = { settings, dispatchers: createDispatchers(settings) };
  const queue = new PQueue({ concurrency: parallelism });
  const authenticators = new Map<string, Authenticator>();

  function createLogin(host: string, auth?: AuthConfig): Authenticator {
    return createAuthenticator({
      context,
      registry: registryUrl(host, hosts),
      async findCredentials(callOptions) {
        const found = auth ?? (await credentials(host, callOptions));
        return found === undefined ? undefined : readAuthConfig(found, host);
      },
    });
  }

  /** Tokens are shared by everyone who uses the client's own credentials. */
  function loginFor(host: string, auth?: AuthConfig): Authenticator {
    if (auth !== undefined) return createLogin(host, auth);
    const login = authenticators.get(host) ?? createLogin(host);
    authenticators.set(host, login);
    return login;
  }

  function repositoryAt(host: string, path: string, auth?: AuthConfig): Repository {
    const registry = registryUrl(host, hosts);
    return createRepository({ context, authenticator: loginFor(host, auth), registry, host, path });
  }

  function mirrorsOf({ registry, repository }: ImageReference): readonly Repository[] {
    const mirrors = hostOptions(registry, hosts).mirrors ?? [];
    return mirrors.map((mirror) => {
      // Checked like any other name: it must not lead to another path of the mirror's API.
      const place = parseReference(`${mirror.replace(/\/+$/, "")}/${repository}`);
      return repositoryAt(place.registry, place.repository);
    });
  }

  return {
    source(reference, { auth } = {}) {
      const own = repositoryAt(reference.registry, reference.repository, auth);
      const repositories = [...mirrorsOf(reference), own];
      const onDispose = (): Promise<void> => Promise.resolve();
      return registrySource({ reference, repositories, settings, logger, queue, onDispose });
    },
    target(reference, { auth, chunkBytes } = {}) {
      const repository = repositoryAt(reference.registry, reference.repository, auth);
      return registryTarget({ reference, repository, chunkBytes });
    },
    async [Symbol.asyncDispose]() {
      await context.dispatchers[Symbol.asyncDispose]();
    },
  };
}
