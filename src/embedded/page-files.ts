import { asset, assetText } from "./assets.ts";

/** One file of the page, as the build listed it in `page.json`. */
export interface PageFile {
  /** Where the browser finds it, such as `/assets/main-4FQ7ZK2A.js`; the document is `/`. */
  path: string;
  /** The value of Content-Type. */
  type: string;
  /** Base64url of the SHA-256 of its content: the ETag is made of it. */
  hash: string;
  /** Length of the uncompressed content. */
  bytes: number;
  /** True when the path itself holds a hash of the content: it may be cached for ever. */
  immutable: boolean;
  /** The asset that holds the content. */
  asset: string;
  /** The asset that holds the content compressed by brotli, when that is smaller. */
  brotli?: string;
}

/** A file of the page with its content. Read-only memory, see `asset`. */
export interface LoadedPageFile extends PageFile {
  content: Uint8Array<ArrayBuffer>;
  compressed?: Uint8Array<ArrayBuffer>;
}

/** All files of the page. */
export function pageFiles(): LoadedPageFile[] {
  return (JSON.parse(assetText("page.json")) as PageFile[]).map((file) => ({
    ...file,
    content: asset(file.asset),
    ...(file.brotli && { compressed: asset(file.brotli) }),
  }));
}
