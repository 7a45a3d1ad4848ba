/**
 * `/certificate`: why browsers warn of a certificate that this server signed itself, and what to do. It can be read
 * without HTTPS too, before the warning.
 */
import { createHash } from "node:crypto";
import { Router } from "express";
import type { Certificate, CertificateSource } from "../tls/certificate.ts";
import { escaped } from "./html.ts";
import { securityHeaders } from "./security.ts";

const STYLE =
  ":root{color-scheme:light dark}body{max-width:40rem;margin:2rem auto;padding:0 1rem;font:1rem/1.6 system-ui,sans-serif}" +
  "code{display:block;padding:.8rem;border:1px solid;border-radius:.4rem;overflow-wrap:anywhere}" +
  "h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}";

const POLICY =
  `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; ` +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** `name` is that of the place. Paths that a certificate of an authority needs no words for are left to others. */
export function certificateRouter(certificates: CertificateSource, name: string): Router {
  const router = Router();
  router.use(["/certificate", "/certificate.pem"], securityHeaders());
  router.get("/certificate", (_request, response, next) => {
    const { current } = certificates;
    if (!current.selfSigned) next();
    else
      response
        .set({ "Content-Security-Policy": POLICY, "Cache-Control": "no-store" })
        .send(page(current, name));
  });
  router.get("/certificate.pem", (_request, response, next) => {
    const { current } = certificates;
    if (!current.selfSigned) next();
    else response.set("Cache-Control", "no-store").type("application/x-pem-file").send(current.chain);
  });
  return router;
}

function page({ fingerprint, until }: Certificate, name: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>The certificate of ${escaped(name)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Why your browser warns you</h1>
<p>${escaped(name)} speaks HTTPS, so nobody on the way can read along, and your browser can give it your camera. But its
certificate comes from this very server and not from an authority that your browser knows. So the browser cannot tell
whether it really talks to this server, and says that the connection is not private.</p>
<h2>Is it the right certificate?</h2>
<p>The warning has a button that shows the certificate. Its SHA-256 fingerprint must be</p>
<p><code>${fingerprint}</code></p>
<p>Whoever runs this place sees the same one where it was started. Ask them, by another way than this page, because who
could swap the certificate could swap this page as well. If the fingerprints differ, do not go on.</p>
<h2>Going on</h2>
<ul>
<li>Chrome, Edge: <b>Advanced</b>, then <b>Proceed</b></li>
<li>Firefox: <b>Advanced…</b>, then <b>Accept the Risk and Continue</b></li>
<li>Safari: <b>Show Details</b>, then <b>visit this website</b></li>
</ul>
<p><a href="/">Go to ${escaped(name)}</a></p>
<h2>No warning at all</h2>
<p>Whoever runs this place can give it a name of its own and a certificate that every browser knows: <b>tls = "acme"</b>
with a <b>domain</b>, or <b>tls = "files"</b>. On a machine of yours you can also tell the system to trust
<a href="/certificate.pem" download="chatrandom.pem">this certificate</a>; it is valid until
${new Date(until).toISOString().slice(0, 10)}.</p>
</body>
</html>
`;
}
