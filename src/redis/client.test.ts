import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { connectRedis } from "./client.ts";
import type { RedisConnection, RedisEvents } from "./client.ts";
import { script } from "./scripts.ts";
import { startTestRedis } from "./test-server.ts";
import type { TestRedis } from "./test-server.ts";
import { eventually } from "../test-until.ts";

const open: { connections: RedisConnection[]; servers: TestRedis[]; fakes: Server[] } = {
  connections: [],
  servers: [],
  fakes: [],
};
afterEach(async () => {
  for (const connection of open.connections.splice(0)) await connection.close();
  for (const server of open.servers.splice(0)) await server.stop();
  for (const fake of open.fakes.splice(0)) fake.close();
});

async function redis(...args: string[]): Promise<TestRedis> {
  const server = await startTestRedis(args);
  open.servers.push(server);
  return server;
}

function connect(target: string, events?: RedisEvents): RedisConnection {
  const connection = connectRedis(target, events);
  open.connections.push(connection);
  return connection;
}

/** Something that listens and answers as told; undefined is silence. */
async function fake(answer: (command: string) => string | undefined): Promise<string> {
  const server = createServer((socket: Socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      for (const command of String(data).split(/(?=\*\d+\r\n)/)) {
        const said = answer(command.split("\r\n")[2]?.toLowerCase() ?? "");
        if (said !== undefined) socket.write(said);
      }
    });
  });
  open.fakes.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;

describe("a connection", () => {
  test("is ready when Redis answers, and says so", async () => {
    const onUp = vi.fn();
    const connection = connect((await redis()).url, { onUp });
    expect(connection.ready).toBe(false);
    await connection.check(5_000);
    expect(connection.ready).toBe(true);
    expect(onUp).toHaveBeenCalledOnce();
  });

  test("says once what a check waits for, and nothing where it need not wait", async () => {
    const onWaiting = vi.fn();
    await connect((await redis()).url, { onWaiting }).check(5_000);
    expect(onWaiting).not.toHaveBeenCalled();
    const checked = connect("redis://127.0.0.1:1", { onWaiting }).check(2_000);
    await expect(checked).rejects.toThrow("did not answer within 2000 ms");
    expect(onWaiting).toHaveBeenCalledExactlyOnceWith("connect ECONNREFUSED 127.0.0.1:1");
  });

  test("logs in, by a unix socket too, and selects the database", async () => {
    const directory = await mkdtemp(join(tmpdir(), "chatrandom-"));
    onTestFinished(() => rm(directory, { recursive: true }));
    const path = join(directory, "r.sock");
    const server = await redis("--unixsocket", path, "--requirepass", "a b", "--databases", "4");
    const bySocket = connect(path);
    await expect(bySocket.client.ping()).rejects.toThrow();
    const byPort = connect(server.url.replace("redis://", "redis://default:a%20b@") + "/3");
    await byPort.check(5_000);
    await byPort.client.set("key", "three");
    const other = connect(server.url.replace("redis://", "redis://:a%20b@"));
    await other.check(5_000);
    expect(await other.client.get("key")).toBeNull();
  });

  test("rejects at once while Redis is away, and comes back by itself", async () => {
    const onDown = vi.fn();
    const server = await redis();
    const connection = connect(server.url, { onDown });
    await connection.check(5_000);
    await server.stop();
    await eventually(() => expect(connection.ready).toBe(false), 20);
    // It spoke to us without TLS a moment ago, so that is not what it wants.
    expect(onDown).toHaveBeenCalledExactlyOnceWith("it closes the connection");
    // Before there is a Redis again.
    await expect(connection.client.ping()).rejects.toThrow();
    await redis("--port", String(server.port));
    await eventually(() => expect(connection.ready).toBe(true));
    expect(await connection.client.ping()).toBe("PONG");
  });

  test("goes on with a new client when one has ended for good", async () => {
    const connection = connect((await redis()).url);
    await connection.check(5_000);
    const first = connection.client;
    first.disconnect();
    await eventually(() => expect(connection.ready && connection.client !== first).toBe(true), 20);
    expect(await connection.client.ping()).toBe("PONG");
  });

  test("connects anew when its server was made a replica, until one takes writes", async () => {
    const [server, onDown] = [await redis(), vi.fn()];
    const connection = connect(server.url, { onDown });
    const operator = connect(server.url);
    await Promise.all([connection.check(5_000), operator.check(5_000)]);
    const write = script("write", "return redis.call('SET', KEYS[1], 'value')");
    await operator.client.call("REPLICAOF", "127.0.0.1", "1");
    await expect(write(connection.client, ["key"], [])).rejects.toThrow("READONLY");
    await eventually(
      () => expect(onDown).toHaveBeenCalledWith("it is a replica now and takes no writes"),
      50,
    );
    await eventually(() => operator.client.call("REPLICAOF", "NO", "ONE"));
    await eventually(async () => expect(await write(connection.client, ["key"], [])).toBe("OK"));
  });

  test("rejects within about a second what a Redis that hangs does not answer, and then connects anew", async () => {
    const target = await fake((command) => {
      if (command === "get") return undefined;
      return command === "info" ? bulk("redis_version:7.2.4\r\n") : "+OK\r\n";
    });
    const onDown = vi.fn();
    const connection = connect(target, { onDown });
    await connection.check(5_000);
    await expect(connection.client.get("key")).rejects.toThrow("timed out");
    expect(onDown).not.toHaveBeenCalled();
    await eventually(() => expect(onDown).toHaveBeenCalled());
    await eventually(() => expect(connection.ready).toBe(true));
  });
});

describe("check", () => {
  test.each(["HTTP/1.1 400 Bad Request\r\n", "SSH-2.0-OpenSSH_9.2\r\n"])(
    "says at once that %j is no answer of a Redis",
    async (answer) => {
      const target = await fake(() => answer);
      await expect(connect(target).check(5_000)).rejects.toThrow(
        "Redis cannot be used: what answers there is no Redis",
      );
    },
  );

  const saying = (...info: string[]): Promise<string> =>
    fake((command) => (command === "info" ? bulk(info.map((line) => `${line}\r\n`).join("")) : "+OK\r\n"));

  test.each([
    [
      ["redis_version:5.0.14"],
      "Redis is version 5.0.14, which is too old: Redis 6.2, Valkey 7.2 or newer is needed",
    ],
    [["redis_version:6.0.20"], "too old"],
    [["redis_version:7.2.4", "valkey_version:7.1.9"], "Valkey is version 7.1.9, which is too old"],
    [["redis_version:7.2.4", "redis_mode:sentinel"], "write redis+sentinel://"],
    [["redis_version:7.2.4", "redis_mode:cluster"], "write redis+cluster://"],
    [["redis_version:7.2.4", "server_mode:cluster"], "write redis+cluster://"],
    [["redis_version:7.2.4", "role:slave"], "this Redis is a replica and takes no writes: name its master"],
  ])("refuses %j", async (info, problem) => {
    await expect(connect(await saying(...info)).check(5_000)).rejects.toThrow(problem);
  });

  test.each([
    [["redis_version:6.2.0"]],
    [["redis_version:7.2.4", "server_name:valkey", "valkey_version:8.1.1", "redis_mode:standalone"]],
    [["something_else:1"]],
  ])("takes %j", async (info) => {
    await connect(await saying(...info)).check(5_000);
  });

  test("says at once that the password is wrong, without it", async () => {
    const server = await redis("--requirepass", "right");
    for (const who of ["", ":wrong-secret@", "somebody:wrong-secret@"]) {
      const target = server.url.replace("redis://", `redis://${who}`);
      const error = await connect(target)
        .check(5_000)
        .catch((thrown: Error) => thrown);
      expect(String(error)).toBe("Error: Redis cannot be used: it refuses user or password");
    }
  });

  test("says that there is no such database", async () => {
    const server = await redis("--databases", "2");
    await expect(connect(`${server.url}/5`).check(5_000)).rejects.toThrow("no database of that number");
  });

  test("says why Redis does not answer", async () => {
    const server = await redis();
    await server.stop();
    const connection = connect(server.url);
    await eventually(() =>
      expect(connection.check(50)).rejects.toThrow(
        /^Redis did not answer within 50 ms: connect ECONNREFUSED/,
      ),
    );
  });

  test("is waited for no longer when told so", async () => {
    const server = await redis();
    await server.stop();
    const stopping = new AbortController();
    const checked = connect(server.url).check(60_000, stopping.signal);
    stopping.abort();
    await expect(checked).rejects.toThrow("Redis is waited for no longer");
    await expect(connect(server.url).check(60_000, stopping.signal)).rejects.toThrow("no longer");
  });

  test("says that one server is no Cluster", async () => {
    const server = await redis();
    const target = server.url.replace("redis://", "redis+cluster://");
    await expect(connect(target).check(5_000)).rejects.toThrow("it is no Cluster: write redis://");
  });

  test("says that a Redis is no Sentinel", async () => {
    const target = (await redis()).url.replace("redis://", "redis+sentinel://");
    await expect(connect(`${target}/mymaster`).check(5_000)).rejects.toThrow(
      "it is no Sentinel: write redis:// instead of redis+sentinel://",
    );
  });
});

test("a script is sent again to a server that has forgotten it", async () => {
  const connection = connect((await redis()).url);
  await connection.check(5_000);
  const add = script("add", "local function add(a, b) return a + b end", "return add(ARGV[1], ARGV[2])");
  expect(await add(connection.client, ["key"], [1, 2])).toBe(3);
  await connection.client.script("FLUSH");
  expect(await add(connection.client, ["key"], [3, 4])).toBe(7);
});
