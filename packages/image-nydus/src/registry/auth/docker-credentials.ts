import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { AuthConfig } from "@longshore/core";
import { hasCode } from "@longshore/core/errors";
import { z } from "zod";
import { authFailed } from "../registry-errors.ts";
import { askCredentialHelper } from "./credential-helper.ts";
import { credentialHost, type CredentialSource } from "./credentials.ts";

export interface DockerCredentialsOptions {
  /** Where `DOCKER_CONFIG`, `HOME` and `PATH` are looked up. @default process.env */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Time for a credential helper. @default 30_000 */
  readonly helperTimeoutMs?: number | undefined;
}

const maxConfigBytes = 1_024 * 1_024;
const hubServer = "https://index.docker.io/v1/";

const configSchema = z.looseObject({
  auths: z
    .record(
      z.string(),
      z.looseObject({
        auth: z.string().nullish(),
        username: z.string().nullish(),
        password: z.string().nullish(),
        identitytoken: z.string().nullish(),
        registrytoken: z.string().nullish(),
      }),
    )
    .nullish(),
  credHelpers: z.record(z.string(), z.string()).nullish(),
  credsStore: z.string().nullish(),
});

type DockerConfig = z.infer<typeof configSchema>;
type DockerAuth = NonNullable<DockerConfig["auths"]>[string];

/**
 * The credentials that `docker login` left: `config.json` in `$DOCKER_CONFIG` or `~/.docker`, with the credential helpers
 * it names. Everything is read anew for each question, so that a later login counts.
 *
 * It rejects with `REGISTRY_AUTH_FAILED` for a config file or a helper that does not work.
 */
export function dockerCredentials(options: DockerCredentialsOptions = {}): CredentialSource {
  const { env = process.env, helperTimeoutMs } = options;
  return async (host, { signal } = {}) => {
    const config = await readConfig(env);
    if (config === undefined) return undefined;
    const wanted = credentialHost(host);
    const helper = entryFor(config.credHelpers, wanted) ?? config.credsStore ?? "";
    if (helper !== "") {
      const server = wanted === "docker.io" ? hubServer : host;
      const found = await askCredentialHelper(helper, server, {
        env,
        signal,
        timeoutMs: helperTimeoutMs,
      });
      if (found !== undefined) return found;
    }
    const entry = entryFor(config.auths, wanted);
    return entry === undefined ? undefined : toAuthConfig(entry);
  };
}

async function readConfig(env: NodeJS.ProcessEnv): Promise<DockerConfig | undefined> {
  const directory = env["DOCKER_CONFIG"] || join(env["HOME"] || homedir(), ".docker");
  const file = join(directory, "config.json");
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw authFailed(`${file} cannot be read.`, { cause: error });
  }
  if (text.length > maxConfigBytes) throw authFailed(`${file} is too large.`);
  try {
    return configSchema.parse(JSON.parse(text));
  } catch {
    // Neither the parser's nor the schema's error is passed on: they quote the file.
    throw authFailed(`${file} is not a configuration of Docker.`);
  }
}

/** The entry of a host; keys may be addresses. */
function entryFor<T>(
  table: Readonly<Record<string, T>> | null | undefined,
  host: string,
): T | undefined {
  const found = Object.entries(table ?? {}).find(([key]) => credentialHost(key) === host);
  return found?.[1];
}

function toAuthConfig(entry: DockerAuth): AuthConfig | undefined {
  const auth: AuthConfig = {
    ...(entry.auth && { auth: entry.auth }),
    ...(entry.username && { username: entry.username }),
    ...(entry.password && { password: entry.password }),
    ...(entry.identitytoken && { identityToken: entry.identitytoken }),
    ...(entry.registrytoken && { registryToken: entry.registrytoken }),
  };
  return Object.keys(auth).length === 0 ? undefined : auth;
}
