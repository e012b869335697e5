import { LongshoreError } from "@longshore/core";
import { TLSSocket } from "node:tls";
import type { Authenticator } from "./authenticator.ts";

const commonName = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/;

/** Client certificates that the server's authority has signed: `peer:<common name>`. The server must ask for them. */
export function clientCertificates(): Authenticator {
  return {
    name: "mtls",
    readsCertificates: true,
    async authenticate({ incoming: { socket } }) {
      if (!(socket instanceof TLSSocket)) return undefined;
      const certificate = socket.getPeerCertificate();
      if (Object.keys(certificate).length === 0) return undefined;
      if (!socket.authorized) {
        throw new LongshoreError(
          "UNAUTHENTICATED",
          "The client certificate is not of the authority that this worker trusts.",
        );
      }
      const name: unknown = certificate.subject.CN;
      if (typeof name === "string" && commonName.test(name)) return `peer:${name}`;
      throw new LongshoreError(
        "UNAUTHENTICATED",
        "The client certificate has no common name that can be a subject.",
      );
    },
  };
}
