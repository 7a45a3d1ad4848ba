import { beforeEach, expect, test } from "vitest";
import { Media } from "./media.ts";
import type { Kind } from "./peer.ts";
import { FakeDevices, FakeStream, settle } from "./testing/fakes.ts";
import type { FakeTrack } from "./testing/fakes.ts";

let devices: FakeDevices;
let told: Kind[];
let microphoneAllowed: boolean;
let media: Media;

const make = (change: { devices?: null; secure?: boolean } = {}) =>
  new Media({
    devices: devices,
    secure: true,
    newStream: (tracks) => new FakeStream(tracks as unknown as FakeTrack[]) as unknown as MediaStream,
    microphoneAllowed: async () => microphoneAllowed,
    onTrack: (kind) => told.push(kind),
    ...change,
  });
const kinds = () => media.stream.value?.getTracks().map(({ kind }) => kind) ?? [];
const running = () => devices.tracks.filter(({ stopped }) => !stopped).length;

beforeEach(() => {
  devices = new FakeDevices();
  told = [];
  microphoneAllowed = false;
  media = make();
});

test("asks once and keeps what it got", async () => {
  expect(media.state.value).toBe("unasked");
  const first = media.acquire();
  expect(media.state.value).toBe("asking");
  await Promise.all([first, media.acquire()]);
  await media.acquire();
  expect(devices.asked).toEqual([["audio", "video"]]);
  expect(media.state.value).toBe("granted");
  expect(kinds()).toEqual(["audio", "video"]);
  expect(media.sends("audio") && media.sends("video")).toBe(true);
});

test.each([
  ["NotAllowedError", "denied"],
  ["SecurityError", "denied"],
  ["NotFoundError", "missing"],
  ["OverconstrainedError", "missing"],
  ["NotReadableError", "busy"],
  ["AbortError", "busy"],
  ["TypeError", "unsupported"],
])("%s means %s", async (name, state) => {
  devices.refuse = () => name;
  await media.acquire();
  expect(media.state.value).toBe(state);
  expect(media.stream.value).toBeNull();
  expect(media.microphoneOn.value || media.cameraOn.value).toBe(false);
});

test("without devices it says whether the page or the browser is why", async () => {
  media = make({ devices: null, secure: false });
  await media.acquire();
  expect(media.state.value).toBe("insecure");
  media = make({ devices: null, secure: true });
  await media.acquire();
  expect(media.state.value).toBe("unsupported");
});

test("without a camera there is sound, without a microphone there is a picture", async () => {
  devices.refuse = (asked) => (asked.includes("video") ? "NotFoundError" : null);
  await media.acquire();
  expect([media.state.value, kinds()]).toEqual(["missing", ["audio"]]);
  expect([media.microphoneOn.value, media.cameraOn.value]).toEqual([true, false]);

  media = make();
  devices.refuse = (asked) => (asked.includes("audio") ? "NotReadableError" : null);
  await media.acquire();
  expect([media.state.value, kinds()]).toEqual(["busy", ["video"]]);
});

test("after a no it asks no second question, unless the microphone is known to be allowed", async () => {
  devices.refuse = (asked) => (asked.includes("video") ? "NotAllowedError" : null);
  await media.acquire();
  expect(devices.asked).toHaveLength(1);
  microphoneAllowed = true;
  await media.acquire();
  expect([media.state.value, kinds()]).toEqual(["denied", ["audio"]]);
});

test("asking again gets what was missing", async () => {
  devices.refuse = () => "NotAllowedError";
  await media.acquire();
  devices.refuse = () => null;
  await media.acquire();
  expect(media.state.value).toBe("granted");
  expect(kinds()).toEqual(["audio", "video"]);
});

test("a muted microphone stays open, a camera that is off is stopped and asked for again", async () => {
  await media.acquire();
  const [microphone, camera] = devices.tracks;
  media.setMicrophone(false);
  expect([microphone?.enabled, microphone?.stopped]).toEqual([false, false]);
  expect([media.microphoneOn.value, media.sends("audio")]).toEqual([false, false]);
  media.setMicrophone(true);
  expect(microphone?.enabled).toBe(true);
  media.setCamera(false);
  expect(camera?.stopped).toBe(true);
  expect([media.cameraOn.value, media.tracks.video, kinds()]).toEqual([false, null, ["audio"]]);
  media.setCamera(true);
  await settle();
  expect(devices.asked.at(-1)).toEqual(["video"]);
  expect([media.cameraOn.value, media.sends("video"), media.state.value]).toEqual([true, true, "granted"]);
  expect(told).toEqual(["audio", "video", "audio", "audio", "video", "video"]);
});

test("what was switched off beforehand is not asked for", async () => {
  media.setCamera(false);
  media.setMicrophone(false);
  await media.acquire();
  expect(devices.asked).toEqual([]);
  media.setCamera(true);
  await settle();
  expect(devices.asked).toEqual([["video"]]);
  expect(media.cameraOn.value).toBe(true);
  expect(media.microphoneOn.value).toBe(false);
});

test("a camera that is switched while the browser asks ends as it was switched last", async () => {
  await media.acquire();
  media.setCamera(false);
  devices.hold();
  media.setCamera(true);
  media.setCamera(false);
  devices.answer();
  await settle();
  expect(media.cameraOn.value).toBe(false);
  expect(running()).toBe(1);

  devices.hold();
  media.setCamera(true);
  media.setCamera(false);
  media.setCamera(true);
  devices.answer();
  await settle();
  expect(media.cameraOn.value).toBe(true);
  expect(running()).toBe(2);
});

test("a wish that comes while the browser asks is asked for afterwards", async () => {
  media.setCamera(false);
  devices.hold();
  const asked = media.acquire();
  media.setCamera(true);
  devices.answer();
  await asked;
  expect(devices.asked).toEqual([["audio"], ["video"]]);
  expect(running()).toBe(2);
});

test("what is granted after Stop is given back at once", async () => {
  devices.hold();
  const asked = media.acquire();
  media.release();
  devices.answer();
  await asked;
  expect(running()).toBe(0);
  expect([media.state.value, media.stream.value]).toEqual(["unasked", null]);
  await media.acquire();
  expect(running()).toBe(2);
  media.release();
  expect(running()).toBe(0);
});

test("Stop while the browser refuses asks nothing more", async () => {
  devices.refuse = () => "NotFoundError";
  devices.hold();
  const asked = media.acquire();
  media.release();
  devices.answer();
  await asked;
  expect(devices.asked).toHaveLength(1);
});

test("an unplugged camera is missing, and nothing is said of one that was let go", async () => {
  await media.acquire();
  const [, camera] = devices.tracks;
  const ended = camera?.onended;
  ended?.();
  expect([media.state.value, media.cameraOn.value, kinds()]).toEqual(["missing", false, ["audio"]]);
  await media.acquire();
  expect(media.state.value).toBe("granted");
  ended?.();
  expect(media.state.value).toBe("granted");
});

test("a device that the system blocks is told", async () => {
  await media.acquire();
  told.length = 0;
  const camera = devices.tracks[1];
  if (!camera) throw new Error("no camera");
  camera.muted = true;
  camera.onmute?.();
  expect(told).toEqual(["video"]);
  expect(media.sends("video")).toBe(false);
});
