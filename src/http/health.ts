/** `/healthz`: the process lives. `/readyz`: it can serve, or why it cannot. `/metrics`: Prometheus text. */
import { Router } from "express";

export interface Health {
  /** Why this node cannot serve right now; empty when it can. */
  notReady(): string[];
  /** What else is to be said, whether or not it can serve: of parts that others can do without. */
  details?(): Promise<Record<string, unknown>>;
  metrics(): Promise<{ contentType: string; text: string }>;
}

export function healthRouter(health: Health): Router {
  const router = Router();
  router.use((_request, response, next) => {
    response.set("Cache-Control", "no-store");
    next();
  });
  router.get("/healthz", (_request, response) => {
    response.json({ alive: true });
  });
  router.get("/readyz", async (_request, response) => {
    const reasons = health.notReady();
    const details = await health.details?.();
    const status = reasons.length === 0 ? 200 : 503;
    response.status(status).json({ ready: reasons.length === 0, reasons, details });
  });
  router.get("/metrics", async (_request, response) => {
    const { contentType, text } = await health.metrics();
    response.set("Content-Type", contentType).send(text);
  });
  return router;
}
