import { connect } from "node:net";
import { once } from "node:events";
import { expect, test } from "vitest";
import { startTestRedis } from "./test-server.ts";

test("a test's Redis answers on loopback and is gone after stop", async () => {
  const redis = await startTestRedis();
  const socket = connect(redis.port, redis.host);
  socket.write("PING\r\n");
  const [answer] = await once(socket, "data");
  expect(String(answer)).toBe("+PONG\r\n");
  socket.destroy();
  await redis.stop();
  await redis.stop();
  const refused = connect(redis.port, redis.host);
  const [error] = await once(refused, "error");
  expect(error).toMatchObject({ code: "ECONNREFUSED" });
});
