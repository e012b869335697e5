import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";
import { isIP } from "node:net";
import { createSecureContext, type SecureContext } from "node:tls";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";

/** An authority that one sandbox trusts. Its key is in memory only. */
export interface CertificateAuthority {
  /** PEM */
  readonly certificate: string;
  /** What a TLS server needs to be a host; made once for each. */
  contextFor(host: string): SecureContext;
}

/** X9.62 `ecdsa-with-SHA256` */
const ecdsaWithSha256 = "1.2.840.10045.4.3.2";
const commonName = "2.5.4.3";
const dayMs = 86_400_000;
/** Clients with a clock that is behind must accept it too. */
const beforeMs = dayMs;
const lifeMs = 365 * dayMs;
const maxContexts = 256;

/** @param name shown as the issuer, e.g. with the sandbox's id */
export function createCertificateAuthority(name: string): CertificateAuthority {
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const server = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const serverKey = server.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const contexts = new Map<string, SecureContext>();
  const issuer = { name, publicKey: authority.publicKey, privateKey: authority.privateKey };
  const certificate = issue(issuer, { name, publicKey: authority.publicKey, kind: "authority" });

  return {
    certificate,
    contextFor(host) {
      const known = contexts.get(host);
      if (known !== undefined) return known;
      const cert = issue(issuer, { name: host, publicKey: server.publicKey, kind: "server" });
      const context = createSecureContext({ key: serverKey, cert, minVersion: "TLSv1.2" });
      const [oldest] = contexts.keys();
      if (contexts.size >= maxContexts && oldest !== undefined) contexts.delete(oldest);
      contexts.set(host, context);
      return context;
    },
  };
}

interface Issuer {
  readonly name: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

interface Subject {
  readonly name: string;
  readonly publicKey: KeyObject;
  readonly kind: "authority" | "server";
}

/** A certificate by RFC 5280, as PEM. */
function issue(issuer: Issuer, subject: Subject): string {
  const signatureAlgorithm = new AlgorithmIdentifier({ algorithm: ecdsaWithSha256 });
  const now = Date.now();
  const body = new TBSCertificate({
    version: Version.v3,
    // Positive, and of at most 20 octets.
    serialNumber: toArrayBuffer(Buffer.concat([Buffer.from([0x01]), randomBytes(15)])),
    signature: signatureAlgorithm,
    issuer: distinguishedName(issuer.name),
    subject: distinguishedName(subject.name),
    validity: new Validity({
      notBefore: new Date(now - beforeMs),
      notAfter: new Date(now + lifeMs),
    }),
    subjectPublicKeyInfo: AsnConvert.parse(spki(subject.publicKey), SubjectPublicKeyInfo),
    extensions: new Extensions(
      subject.kind === "authority"
        ? authorityExtensions(subject)
        : serverExtensions(issuer, subject),
    ),
  });
  const signature = sign("sha256", Buffer.from(AsnConvert.serialize(body)), issuer.privateKey);
  const certificate = new Certificate({
    tbsCertificate: body,
    signatureAlgorithm,
    signatureValue: toArrayBuffer(signature),
  });
  const base64 = Buffer.from(AsnConvert.serialize(certificate)).toString("base64");
  const lines = base64.match(/.{1,64}/g)?.join("\n") ?? "";
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function authorityExtensions(subject: Subject): Extension[] {
  return [
    extension(
      id_ce_basicConstraints,
      new BasicConstraints({ cA: true, pathLenConstraint: 0 }),
      true,
    ),
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.keyCertSign), true),
    extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyId(subject.publicKey))),
  ];
}

function serverExtensions(issuer: Issuer, subject: Subject): Extension[] {
  const { name } = subject;
  const alternative = isIP(name) === 0 ? { dNSName: name } : { iPAddress: name };
  const authorityKey = new AuthorityKeyIdentifier({
    keyIdentifier: new KeyIdentifier(keyId(issuer.publicKey)),
  });
  return [
    extension(id_ce_basicConstraints, new BasicConstraints({ cA: false }), true),
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature), true),
    extension(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_serverAuth])),
    extension(id_ce_subjectAltName, new SubjectAlternativeName([new GeneralName(alternative)])),
    extension(id_ce_authorityKeyIdentifier, authorityKey),
  ];
}

function extension(extnID: string, value: object, critical = false): Extension {
  return new Extension({
    extnID,
    critical,
    extnValue: new OctetString(AsnConvert.serialize(value)),
  });
}

function distinguishedName(text: string): Name {
  // Names longer than 64 characters break X.520's bound; clients read the alternative name only.
  const value = new AttributeValue({ utf8String: text.slice(0, 64) });
  return new Name([
    new RelativeDistinguishedName([new AttributeTypeAndValue({ type: commonName, value })]),
  ]);
}

function keyId(key: KeyObject): ArrayBuffer {
  return toArrayBuffer(createHash("sha256").update(spki(key)).digest().subarray(0, 20));
}

function spki(key: KeyObject): Buffer {
  return key.export({ type: "spki", format: "der" });
}

function toArrayBuffer(bytes: Buffer): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
