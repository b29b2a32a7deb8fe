/**
 * A self-signed certificate for localhost, so that `--https` needs no tool and clients can be told whom to trust
 * (`curl --cacert`). X.509 (RFC 5280) in DER by hand: ECDSA on P-256, valid for a year.
 */
import { createPublicKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const DAY_MS = 86_400_000;
const VALID_DAYS = 365;
const NAME = "localhost";

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  if (body.length < 128) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  if (body.length > 0xffff) throw new Error(`DER value of ${body.length} bytes`);
  const length = body.length < 256 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts);
const set = (...parts: readonly Uint8Array[]) => der(0x31, ...parts);
const octets = (part: Uint8Array) => der(0x04, part);
const bits = (part: Uint8Array) => der(0x03, Buffer.from([0]), part);
const boolean = (value: boolean) => der(0x01, Buffer.from([value ? 0xff : 0]));
const hex = (text: string) => Buffer.from(text, "hex");
/** Object identifiers, encoded. */
const oid = {
  ecdsaWithSha256: der(0x06, hex("2a8648ce3d040302")),
  commonName: der(0x06, hex("550403")),
  subjectAltName: der(0x06, hex("551d11")),
  basicConstraints: der(0x06, hex("551d13")),
};

function generalizedTime(instant: number): Buffer {
  return der(0x18, Buffer.from(`${new Date(instant).toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`));
}

/** PEM of a new key and a certificate for `localhost`, `127.0.0.1` and `::1`. */
export function makeCertificate(now: number): { readonly key: string; readonly certificate: string } {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicKey = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  const algorithm = sequence(oid.ecdsaWithSha256);
  const name = sequence(set(sequence(oid.commonName, der(0x0c, Buffer.from(NAME)))));
  const serial = randomBytes(16);
  // A serial number is a positive integer without leading zeros.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const alternatives = sequence(
    der(0x82, Buffer.from(NAME)),
    der(0x87, Buffer.from([127, 0, 0, 1])),
    der(0x87, Buffer.from([...new Uint8Array(15), 1])),
  );
  const extensions = sequence(
    sequence(oid.subjectAltName, octets(alternatives)),
    sequence(oid.basicConstraints, boolean(true), octets(sequence(boolean(true)))),
  );
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    algorithm,
    name,
    sequence(generalizedTime(now - DAY_MS), generalizedTime(now + VALID_DAYS * DAY_MS)),
    name,
    publicKey,
    der(0xa3, extensions),
  );
  const signed = sequence(body, algorithm, bits(sign("sha256", body, privateKey)));
  const base64 = signed
    .toString("base64")
    .replace(/(.{64})/g, "$1\n")
    .trimEnd();
  return {
    key: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    certificate: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
  };
}

export interface CertificateFiles {
  readonly keyFile: string;
  readonly certificateFile: string;
  readonly key: string;
  readonly certificate: string;
}

/** The certificate kept in `directory`, made anew when there is none or it has less than a week left. */
export function ensureCertificate(directory: string, now: number): CertificateFiles {
  const keyFile = join(directory, "key.pem");
  const certificateFile = join(directory, "certificate.pem");
  if (existsSync(keyFile) && existsSync(certificateFile)) {
    const key = readFileSync(keyFile, "utf8");
    const certificate = readFileSync(certificateFile, "utf8");
    if (stillGood(certificate, now)) return { keyFile, certificateFile, key, certificate };
  }
  mkdirSync(directory, { recursive: true });
  const made = makeCertificate(now);
  writeFileSync(keyFile, made.key, { mode: 0o600 });
  writeFileSync(certificateFile, made.certificate);
  return { keyFile, certificateFile, ...made };
}

function stillGood(certificate: string, now: number): boolean {
  try {
    return new X509Certificate(certificate).validToDate.getTime() > now + 7 * DAY_MS;
  } catch {
    return false;
  }
}
