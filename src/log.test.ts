import { expect, test } from "vitest";
import { openLog } from "./log.ts";

async function logged(
  config: { log_level?: string; log_format?: string },
  write: (log: Awaited<ReturnType<typeof openLog>>) => void,
) {
  const lines: string[] = [];
  const settings = { log_level: "info", log_format: "json", ...config } as Parameters<typeof openLog>[0];
  write(await openLog(settings, { write: (line) => void lines.push(line) }));
  return lines;
}

test("programs get one JSON object a line, with the level as a word and the time as ISO 8601", async () => {
  const [line, ...others] = await logged({}, (log) => log.info({ port: 8080 }, "ready"));
  expect(others).toEqual([]);
  expect(line).toMatch(/^\{.*\}\n$/);
  const { time, ...rest } = JSON.parse(line!);
  expect(rest).toEqual({ level: "info", port: 8080, msg: "ready" });
  expect(new Date(time).toISOString()).toBe(time);
});

test("people get a line without braces, and no escape sequence of a stranger", async () => {
  const lines = await logged({ log_format: "pretty" }, (log) =>
    log.warn({ port: 8080 }, "hello \u001b[2J\nworld"),
  );
  expect(lines.join("")).toMatch(/^\[\d\d:\d\d:\d\d\] WARN: hello �\[2J�world \{"port":8080\}\n$/);
});

test("people get an error on one line too", async () => {
  const lines = await logged({ log_format: "pretty" }, (log) => log.error(new Error("broken"), "no relay"));
  expect(lines.join("")).toMatch(/ERROR: no relay \{"err":\{"type":"Error","message":"broken"\}\}\n$/);
});

test("says nothing below its level", async () => {
  const lines = await logged({ log_level: "warn" }, (log) => {
    log.info("no");
    log.warn("yes");
  });
  expect(lines).toHaveLength(1);
});

test.each(["info", "trace"])("hides tokens, words and passwords in URLs at level %s", async (log_level) => {
  const lines = await logged({ log_level }, (log) => {
    log.info({
      resume: "hush1",
      session: { token: "hush2" },
      message: { signal: { data: { sdp: "hush3" } } },
    });
    log
      .child({ part: "redis", password: "hush4" })
      .error(new Error("cannot reach redis://admin:hush5@db:6379/0"));
    log.info({ headers: { authorization: "hush6", cookie: "hush7" } }, "rediss://:hush8@db");
  });
  expect(lines).toHaveLength(3);
  expect(lines.join("")).not.toContain("hush");
  expect(lines[1]).toContain("redis://[hidden]@db:6379/0");
});

test("shows addresses of visitors only to those who look for a fault", async () => {
  const write = (level: string) =>
    logged({ log_level: level }, (log) =>
      log.info({ address: "192.0.2.1", request: { "x-forwarded-for": "192.0.2.1" } }),
    );
  expect((await write("info")).join("")).not.toContain("192.0.2.1");
  expect((await write("debug")).join("").match(/192\.0\.2\.1/g)).toHaveLength(2);
});

test("shows stack traces only to those who look for a fault", async () => {
  const error = Object.assign(new Error("broken"), { code: "EBROKEN" });
  const [brief] = await logged({}, (log) => log.error(error));
  expect(JSON.parse(brief!).err).toEqual({ type: "Error", message: "broken", code: "EBROKEN" });
  const [full] = await logged({ log_level: "debug" }, (log) => log.error(error));
  expect(JSON.parse(full!).err.stack).toContain("log.test.ts");
});
