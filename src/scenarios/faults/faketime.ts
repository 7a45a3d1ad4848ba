/** Where Debian's package of that name has the library that gives a process another time of day. */
const ARCHITECTURE = process.arch === "arm64" ? "aarch64" : "x86_64";
export const LIBFAKETIME = `/usr/lib/${ARCHITECTURE}-linux-gnu/faketime/libfaketime.so.1`;

/** The environment of a process whose time of day is off by so many seconds; how fast time passes stays. */
export const clockAhead = (seconds: number): Record<string, string> => ({
  LD_PRELOAD: LIBFAKETIME,
  FAKETIME: `+${seconds}s`,
  FAKETIME_DONT_FAKE_MONOTONIC: "1",
});
