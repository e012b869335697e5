import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { hasCode } from "@longshore/core";

/** Where sandboxes see the files. */
const insideDirectory = "/run/longshore/egress";
/** Where distributions keep the authorities that the host trusts, as one file. */
const hostBundles = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** Files that make programs in a sandbox trust an authority, and the variables that name them. */
export interface TrustFiles {
  readonly env: readonly string[];
  /** Path inside → path on the host */
  readonly files: Readonly<Record<string, string>>;
}

/** Writes them. Files that are there keep their inode, because mounts show it. */
export async function writeTrustFiles(directory: string, certificate: string): Promise<TrustFiles> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const own = join(directory, "ca.pem");
  const all = join(directory, "ca-bundle.pem");
  await writeFile(own, certificate, { mode: 0o644 });
  await writeFile(all, `${await hostAuthorities()}\n${certificate}`, { mode: 0o644 });
  const ownInside = `${insideDirectory}/ca.pem`;
  const allInside = `${insideDirectory}/ca-bundle.pem`;
  return {
    files: { [ownInside]: own, [allInside]: all },
    env: [
      `SSL_CERT_FILE=${allInside}`,
      `CURL_CA_BUNDLE=${allInside}`,
      `REQUESTS_CA_BUNDLE=${allInside}`,
      `GIT_SSL_CAINFO=${allInside}`,
      `NODE_EXTRA_CA_CERTS=${ownInside}`,
    ],
  };
}

export async function removeTrustFiles(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}

async function hostAuthorities(): Promise<string> {
  for (const path of hostBundles) {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      const isThere = !hasCode(error, "ENOENT");
      if (isThere) throw error;
    }
  }
  return rootCertificates.join("\n");
}
