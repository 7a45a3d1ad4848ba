/** Authorities for tests, and the certificates that they give. */
import { randomBytes } from "node:crypto";
import * as x509 from "@peculiar/x509";

export interface Signed {
  readonly pem: string;
  readonly key: string;
  readonly name: string;
  readonly keys: CryptoKeyPair;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;

export interface Wanted {
  readonly name: string;
  /** The authority that signs it; without one it signs itself. */
  readonly by?: Signed;
  /** The name of the DNS that it is for; without one it is an authority. */
  readonly host?: string;
  /** In ms since the Unix epoch; it is valid from 30 days before until 60 days after. */
  readonly now?: number;
}

export async function sign({ name, by, host, now = Date.now() }: Wanted): Promise<Signed> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: `01${randomBytes(8).toString("hex")}`,
    subject: `CN=${name}`,
    issuer: `CN=${by?.name ?? name}`,
    notBefore: new Date(now - 30 * DAY_MS),
    notAfter: new Date(now + 60 * DAY_MS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: (by?.keys ?? keys).privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(host === undefined, undefined, true),
      ...(host === undefined
        ? []
        : [new x509.SubjectAlternativeNameExtension([{ type: "dns", value: host }])]),
    ],
  });
  const exported = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const key = `-----BEGIN PRIVATE KEY-----\n${exported.replaceAll(/.{64}(?=.)/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;
  return { pem: `${certificate.toString("pem")}\n`, key, name, keys };
}
