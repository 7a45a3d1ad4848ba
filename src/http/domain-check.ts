/** HTTP-01: answers the authority that checks whether the domain leads here. It asks without HTTPS. */
import { Router } from "express";
import type { DomainChecks } from "../tls/domain-checks.ts";

/** Tokens are base64url of at least 128 bits. */
const TOKEN = /^[\w-]{20,128}$/;

export function domainCheckRouter(checks: DomainChecks): Router {
  const router = Router();
  router.get("/.well-known/acme-challenge/:token", async (request, response) => {
    const { token } = request.params;
    const answer = TOKEN.test(token) ? await checks.overHttp(token) : undefined;
    response.set("Cache-Control", "no-store").type("text");
    if (answer === undefined) response.status(404).send("Nobody asked for this.\n");
    else response.send(answer);
  });
  return router;
}
