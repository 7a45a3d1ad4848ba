import type { Certificate } from "./certificate.ts";

/** An account with the authority. */
export interface Account {
  readonly url: string;
  /** PEM. A secret. */
  readonly key: string;
}

/** What an authority told us to answer when it checks the domain. */
export interface CheckAnswer {
  readonly token: string;
  /** The token and a hash of the account's key. */
  readonly keyAuthorization: string;
}

/**
 * Where the account, the certificate of one domain and the answers to checks are kept. One node keeps them in its data
 * directory; the nodes of a cluster share them, because an authority's check may reach any of them and one renews for
 * all. Every method may reject when the store is away.
 */
export interface CertificateStore {
  account(): Promise<Account | undefined>;
  saveAccount(account: Account): Promise<void>;
  /** The one that was saved last; undefined when there is none that can be used. */
  certificate(): Promise<Certificate | undefined>;
  saveCertificate(certificate: Certificate): Promise<void>;
  /** From when the promise resolves every node finds the answer, for `ms` or until it is dropped. */
  putAnswer(answer: CheckAnswer, ms: number): Promise<void>;
  dropAnswer(answer: CheckAnswer): Promise<void>;
  /** By its token, or without one the latest. */
  answer(token?: string): Promise<CheckAnswer | undefined>;
  /** The right to be the one that renews, for at most `ms`; undefined while another has it, or after a failure. */
  lease(ms: number): Promise<RenewalLease | undefined>;
  /** Forgets failures of those before us: the next attempt is at most `ms` away then. */
  forgive(ms: number): Promise<void>;
}

export interface RenewalLease {
  /** How many attempts have failed in a row, whoever made them. */
  readonly failures: number;
  /** Gives the right back after a success. */
  done(): Promise<void>;
  /** Counts a failure and keeps everybody from the next attempt for `ms`. */
  failed(ms: number): Promise<void>;
}
