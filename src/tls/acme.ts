/** Gets a certificate from an authority that speaks ACME (RFC 8555), such as Let's Encrypt. */
import type { Client } from "acme-client";
import { type Certificate, certificateOf } from "./certificate.ts";
import type { Account, CertificateStore } from "./certificate-store.ts";

/** How an authority checks that the domain leads here. */
export type CheckType = "http-01" | "tls-alpn-01";

export interface Order {
  readonly domain: string;
  /** The address of the authority's ACME directory. */
  readonly directory: string;
  /** "" for none. */
  readonly email: string;
  /** Binds the account to one that the operator has with the authority, where the authority wants that. */
  readonly binding?: { readonly keyId: string; readonly key: string };
  readonly check: CheckType;
  readonly store: CertificateStore;
  /** How long to wait before asking for the first time again how it goes, in ms; later it is longer. */
  readonly patience?: number;
}

/** How long the authority may take to look at an answer. */
const ANSWER_MS = 600_000;
const REQUEST_TIMEOUT_MS = 30_000;

/** Registers an account if there is none yet. Rejects with what the authority says, in one line. */
export async function obtain(order: Order): Promise<Certificate> {
  const { domain, directory, email, binding, check, store, patience = 500 } = order;
  const acme = await library();
  const connect = (accountKey: string, accountUrl?: string): Client =>
    new acme.Client({
      directoryUrl: directory,
      accountKey,
      accountUrl,
      externalAccountBinding: binding && { kid: binding.keyId, hmacKey: binding.key },
      backoffMin: patience,
      backoffMax: 20 * patience,
      backoffAttempts: 15,
    });
  const register = async (): Promise<Account> => {
    const key = String(await acme.crypto.createPrivateEcdsaKey("P-256"));
    const client = connect(key);
    const contact = email === "" ? {} : { contact: [`mailto:${email}`] };
    // Reads the directory: what goes wrong there has nothing to do with the account.
    await client.getTermsOfServiceUrl();
    try {
      await client.createAccount({ termsOfServiceAgreed: true, ...contact });
    } catch (cause) {
      if (binding === undefined) throw cause;
      const ask = "Are acme.eab_key_id and acme.eab_key those that it gave you?";
      throw new Error(`the authority makes no account: ${(cause as Error).message}. ${ask}`, { cause });
    }
    const account = { key, url: client.getAccountUrl() };
    await store.saveAccount(account);
    return account;
  };
  const certify = async ({ key: accountKey, url }: Account): Promise<Certificate> => {
    const key = await acme.crypto.createPrivateEcdsaKey("P-256");
    const [, csr] = await acme.crypto.createCsr({ altNames: [domain] }, key);
    const chain = await connect(accountKey, url).auto({
      csr,
      challengePriority: [check],
      // The authority checks; whether we reach ourselves by the domain says little, least of all behind NAT.
      skipChallengeVerification: true,
      async challengeCreateFn(_authorization, { type, token }, keyAuthorization) {
        if (type !== check) throw new Error(`the authority does not check by ${check}`);
        await store.putAnswer({ token, keyAuthorization }, ANSWER_MS);
      },
      challengeRemoveFn: (_authorization, { token }, keyAuthorization) =>
        store.dropAnswer({ token, keyAuthorization }),
    });
    return certificateOf(chain, String(key));
  };
  const account = await store.account();
  if (account === undefined) return certify(await register());
  try {
    return await certify(account);
  } catch (error) {
    if (!(error instanceof UnknownAccount)) throw error;
    return certify(await register());
  }
}

/** An answer of the authority that is more to us than the words in it. */
class Refusal extends Error {}
/** The authority has forgotten the account: a private one that was set up anew, most likely. */
class UnknownAccount extends Refusal {}

function throwRefusal(problem: string): void {
  const is = (type: string): boolean => problem.includes(`urn:ietf:params:acme:error:${type}`);
  if (is("accountDoesNotExist")) throw new UnknownAccount("the authority does not know the account");
  if (is("externalAccountRequired")) {
    throw new Refusal(
      "the authority gives certificates only to its customers: " +
        "set acme.eab_key_id and acme.eab_key to what it gave you for external account binding",
    );
  }
}

/** The certificate that answers a check by TLS-ALPN-01 (RFC 8737), and its key. */
export async function checkCertificate(
  domain: string,
  keyAuthorization: string,
): Promise<{ cert: string; key: string }> {
  const { crypto } = await library();
  const authorization = { identifier: { type: "dns", value: domain } };
  const [key, cert] = await crypto.createAlpnCertificate(
    authorization as Parameters<typeof crypto.createAlpnCertificate>[0],
    keyAuthorization,
    await crypto.createPrivateEcdsaKey("P-256"),
  );
  return { cert: String(cert), key: String(key) };
}

/** Loaded only when it is needed: it costs as much as all the rest of the start. */
async function library(): Promise<typeof import("acme-client")> {
  const acme = await import("acme-client");
  acme.axios.defaults.adapter = ask;
  return acme;
}

type Ask = Extract<
  (typeof import("acme-client"))["axios"]["defaults"]["adapter"],
  (...args: never[]) => unknown
>;

/**
 * Asks the authority in place of the library's own way, which hides why it could not be reached and tries again by
 * itself: that is the renewal's, which says so meanwhile.
 */
const ask: Ask = async (config) => {
  const url = config.url!;
  try {
    const response = await fetch(url, {
      method: config.method!.toUpperCase(),
      headers: config.headers.toJSON() as Record<string, string>,
      body: config.data as string | undefined,
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    const { status, statusText, headers } = response;
    const data = await response.text();
    if (status >= 400) throwRefusal(data);
    return { status, statusText, headers: Object.fromEntries(headers), data, config };
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const { name, cause } = error as Error & { cause?: NodeJS.ErrnoException };
    const reason =
      name === "TimeoutError" ? "it does not answer" : (cause?.code ?? cause?.message ?? String(error));
    throw new Error(`cannot reach ${new URL(url).host}: ${reason}`, { cause: error });
  }
};
