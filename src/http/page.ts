/** Serves the page from memory: compressed at build time, hashed names for ever, the document by its ETag. */
import { Router } from "express";
import type { Request, Response } from "express";
import type { LoadedPageFile } from "../embedded/page-files.ts";

export function pageRouter(files: readonly LoadedPageFile[]): Router {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const router = Router();
  router.use((request, response, next) => {
    const file = byPath.get(request.path);
    if (!file) next();
    else if (request.method === "GET" || request.method === "HEAD") send(file, request, response);
    else response.set("Allow", "GET, HEAD").status(405).type("text").send("Only GET and HEAD.\n");
  });
  return router;
}

function send(file: LoadedPageFile, request: Request, response: Response): void {
  const brotli = file.compressed !== undefined && request.acceptsEncodings("br") === "br";
  const content = brotli ? file.compressed! : file.content;
  response.set({
    "Content-Type": file.type,
    "Cache-Control": file.immutable ? "public, max-age=31536000, immutable" : "no-cache",
    Vary: "Accept-Encoding",
    // The two encodings are different representations, so they have different tags.
    ETag: `"${file.hash}${brotli ? "-br" : ""}"`,
  });
  if (request.fresh) {
    response.status(304).end();
    return;
  }
  if (brotli) response.set("Content-Encoding", "br");
  response.set("Content-Length", String(content.byteLength));
  if (request.method === "HEAD") response.end();
  else response.end(content);
}
