/** What `chatrandom reports` tells, read from the Redis of a cluster or of one appliance. */
import { newestReports } from "./moderation/reports.ts";
import type { StoredReport } from "./node/contracts.ts";
import { PREFIX } from "./redis/keys.ts";
import { lookInto, type Where } from "./store-of.ts";

/**
 * Newest first, `most` at the most.
 * @throws Failure with one line for the operator when it cannot be reached
 */
export const readReports = (
  where: Where,
  most: number,
  warn: (text: string) => void,
): Promise<StoredReport[]> => lookInto(where, ({ client }) => newestReports(client, PREFIX, most), warn);
