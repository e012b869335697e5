import type { Abortable, AuthConfig } from "@longshore/core";
import { authFailed } from "../registry-errors.ts";

/** Finds the credentials for a registry's host; undefined: none are known, go without. */
export type CredentialSource = (
  host: string,
  options?: Abortable,
) => Promise<AuthConfig | undefined>;

/** Credentials in the form in which they are used. Never logged, never part of an error. */
export type Credentials =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  /** OAuth 2 refresh token */
  | { readonly kind: "identity-token"; readonly token: string }
  /** Bearer token that a registry takes as it is */
  | { readonly kind: "registry-token"; readonly token: string };

/**
 * Reads what an `AuthConfig` holds; undefined when it is empty or is for another host.
 *
 * @throws {LongshoreError} `REGISTRY_AUTH_FAILED` for an `auth` that is not base64 of `user:password`
 */
export function readAuthConfig(auth: AuthConfig, host: string): Credentials | undefined {
  const { username = "", password = "", identityToken = "", registryToken = "" } = auth;
  if (!isForHost(auth.serverAddress, host)) return undefined;
  if (identityToken !== "") return { kind: "identity-token", token: identityToken };
  if (registryToken !== "") return { kind: "registry-token", token: registryToken };
  if (username !== "") return { kind: "password", username, password };
  if (auth.auth === undefined || auth.auth === "") return undefined;
  const decoded = Buffer.from(auth.auth, "base64").toString("utf8").replace(/\0+$/, "");
  const colon = decoded.indexOf(":");
  if (colon < 1) throw authFailed(`The credentials for ${host} are not base64 of user:password.`);
  return {
    kind: "password",
    username: decoded.slice(0, colon),
    password: decoded.slice(colon + 1),
  };
}

/** Value of the Authorization header for HTTP Basic. */
export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`, "utf8").toString("base64")}`;
}

/** The host in a server address of Docker's: `https://index.docker.io/v1/` is `docker.io`. */
export function credentialHost(address: string): string {
  const [host = ""] = address.replace(/^[a-z]+:\/\//i, "").split("/");
  const isHub = /^(?:index\.docker\.io|registry-1\.docker\.io|docker\.io)$/i.test(host);
  return isHub ? "docker.io" : host.toLowerCase();
}

function isForHost(address: string | undefined, host: string): boolean {
  return (
    address === undefined || address === "" || credentialHost(address) === credentialHost(host)
  );
}
