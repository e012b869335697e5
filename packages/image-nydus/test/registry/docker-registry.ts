import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface DockerRegistryOptions {
  /** Ask for this user by HTTP Basic */
  readonly basic?: { readonly username: string; readonly password: string } | undefined;
  /** Ask for tokens of this server */
  readonly token?:
    | {
        readonly realm: string;
        readonly service: string;
        readonly issuer: string;
        /** PEM file of the certificates whose keys may sign tokens */
        readonly certificateFile: string;
      }
    | undefined;
  /** Serve https with this key pair */
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string } | undefined;
}

/** Debian's `docker-registry` on a loopback port of its own, with its data in a temporary directory. */
export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`, as it stands in image references */
  readonly host: string;
  readonly port: number;
  /** `http://127.0.0.1:PORT` or https */
  readonly url: string;
  /** Where the registry keeps its files (`docker/registry/v2/…`) */
  readonly dataDirectory: string;
}

/** Starts a registry and waits until it listens. Needs the Debian packages docker-registry and apache2-utils. */
export async function startDockerRegistry(
  options: DockerRegistryOptions = {},
): Promise<DockerRegistry> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-registry-"));
  try {
    const dataDirectory = join(directory, "data");
    const config = {
      version: "0.1",
      log: { level: "info", formatter: "json", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: dataDirectory }, delete: { enabled: true } },
      http: {
        addr: "127.0.0.1:0",
        secret: "only for tests",
        ...(options.tls && {
          tls: { certificate: options.tls.certificateFile, key: options.tls.keyFile },
        }),
      },
      auth: await authConfig(options, directory),
    };
    const configFile = join(directory, "config.yml");
    // JSON is YAML, too.
    await writeFile(configFile, JSON.stringify(config));
    const server = spawn("docker-registry", ["serve", configFile], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const exited = once(server, "exit");
    const port = await listeningPort(server.stderr, exited);
    const host = `127.0.0.1:${port}`;
    return {
      host,
      port,
      url: `${options.tls ? "https" : "http"}://${host}`,
      dataDirectory,
      async [Symbol.asyncDispose]() {
        server.kill("SIGKILL");
        await exited;
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function authConfig(options: DockerRegistryOptions, directory: string): Promise<object> {
  if (options.token) {
    const { realm, service, issuer, certificateFile } = options.token;
    return { token: { realm, service, issuer, rootcertbundle: certificateFile } };
  }
  if (options.basic) {
    const { username, password } = options.basic;
    const path = join(directory, "htpasswd");
    const { stdout } = await run("htpasswd", ["-nbBC", "4", username, password]);
    await writeFile(path, stdout);
    return { htpasswd: { realm: "longshore-test", path } };
  }
  return {};
}

async function listeningPort(
  stderr: NodeJS.ReadableStream,
  exited: Promise<unknown>,
): Promise<number> {
  const lines: string[] = [];
  const port = Promise.withResolvers<number>();
  const reader = createInterface({ input: stderr });
  reader.on("line", (line) => {
    const match = /"msg":"listening on [^"]*:(\d+)[,"]/.exec(line);
    if (match) port.resolve(Number(match[1]));
    else if (lines.length < 50) lines.push(line);
  });
  return Promise.race([
    port.promise,
    exited.then(() => {
      throw new Error(`docker-registry stopped:\n${lines.join("\n")}`);
    }),
  ]);
}
