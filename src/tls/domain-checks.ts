import type { SecureContext } from "node:tls";

/** How an authority checks that a domain leads here: it asks, and gets the answer that it told us to give. */
export interface DomainChecks {
  /** HTTP-01: the answer to `/.well-known/acme-challenge/<token>`; undefined when nobody told us about the token. */
  overHttp(token: string): Promise<string | undefined>;
  /** TLS-ALPN-01: what a handshake for `acme-tls/1` is answered with; undefined while no such check is expected. */
  overTls(): Promise<SecureContext | undefined>;
}
