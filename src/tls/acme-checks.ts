/** Answers the checks of an authority with what the store holds: the node that asked may be another one. */
import { createSecureContext, type SecureContext } from "node:tls";
import { checkCertificate } from "./acme.ts";
import type { CertificateStore } from "./certificate-store.ts";
import type { DomainChecks } from "./domain-checks.ts";

export function acmeChecks(domain: string, store: CertificateStore): DomainChecks {
  /** The last one made: authorities check from several places at once. */
  let last: { keyAuthorization: string; context: Promise<SecureContext> } | undefined;

  const contextFor = async (keyAuthorization: string): Promise<SecureContext> =>
    createSecureContext(await checkCertificate(domain, keyAuthorization));

  return {
    overHttp: async (token) => (await store.answer(token))?.keyAuthorization,
    async overTls() {
      const answer = await store.answer();
      if (answer === undefined) return undefined;
      const { keyAuthorization } = answer;
      if (last?.keyAuthorization !== keyAuthorization) {
        last = { keyAuthorization, context: contextFor(keyAuthorization) };
      }
      return last.context;
    },
  };
}
