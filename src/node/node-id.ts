import { randomBytes } from "node:crypto";

/** A node is one life of one process: whoever starts again is another one. */
export const newNodeId = (): string => randomBytes(9).toString("base64url");
