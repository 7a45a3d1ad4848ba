import { beforeEach, expect, test } from "vitest";
import type { Mode, Role } from "../../src/protocol/messages.ts";
import type { Candidate } from "./call-signal.ts";
import { Peer } from "./peer.ts";
import type { Tracks } from "./peer.ts";
import { FakeNetwork } from "./testing/fake-connection.ts";
import type { FakeConnection } from "./testing/fake-connection.ts";
import { FakeClock, FakeStream, FakeTrack, settle } from "./testing/fakes.ts";

let network: FakeNetwork;
let tracks: Tracks;

beforeEach(() => {
  network = new FakeNetwork();
  tracks = { audio: null, video: null };
});

const make = (role: Role, mode: Mode = "video"): Peer =>
  new Peer({
    mode,
    role,
    configuration: { iceServers: [] },
    discretion: () => ({ relayOnly: false, lan: false }),
    newConnection: network.newConnection,
    newStream: () => new FakeStream() as unknown as MediaStream,
    tracks: () => tracks,
  });
const connection = (index: number): FakeConnection => {
  const found = network.connections[index];
  if (!found) throw new Error(`no connection ${index}`);
  return found;
};
const track = (kind: string) => new FakeTrack(kind) as unknown as MediaStreamTrack;
const candidateOf = (index: number): Candidate => ({
  candidate: `candidate:1 1 udp 1 192.0.2.1 ${index} typ host`,
  sdpMid: "0",
  sdpMLineIndex: 0,
  usernameFragment: connection(index).localUfrag,
});

function listen(peer: Peer) {
  const told = {
    candidates: [] as Candidate[],
    states: [] as string[],
    streams: [] as MediaStream[],
    beats: 0,
    asked: 0,
  };
  peer.listen({
    candidates: (candidates) => told.candidates.push(...candidates),
    state: (state) => told.states.push(state),
    stream: (stream) => told.streams.push(stream),
    beat: (asked) => {
      told.beats += 1;
      if (asked) told.asked += 1;
    },
  });
  return told;
}

async function connect(mode: Mode = "video") {
  const offerer = make("offerer", mode);
  const answerer = make("answerer", mode);
  const mine = listen(offerer);
  const theirs = listen(answerer);
  let answer = "";
  await Promise.all([offerer.gather(), answerer.answer(await offerer.offer(), (sdp) => (answer = sdp))]);
  await offerer.accept(answer);
  offerer.addCandidates(theirs.candidates);
  answerer.addCandidates(mine.candidates);
  await settle();
  return { offerer, answerer, mine, theirs };
}

test("an offer lies ready without a port open; gathering begins when it is wanted", async () => {
  const peer = make("offerer");
  const told = listen(peer);
  const offer = await peer.offer();
  expect(await peer.offer()).toBe(offer);
  await settle();
  expect([connection(0).signalingState, told.candidates.length]).toEqual(["stable", 0]);
  await Promise.all([peer.gather(), peer.gather()]);
  expect([connection(0).signalingState, told.candidates.length]).toEqual(["have-local-offer", 2]);
});

test("candidates found before anybody listens are kept", async () => {
  const peer = make("offerer");
  await peer.gather();
  expect(listen(peer).candidates).toHaveLength(2);
});

test("candidates that come before the description are used after it", async () => {
  const offerer = make("offerer");
  const answerer = make("answerer");
  await offerer.gather();
  answerer.addCandidates([candidateOf(0)]);
  await settle();
  let answer = "";
  await answerer.answer(await offerer.offer(), (sdp) => (answer = sdp));
  offerer.addCandidates([candidateOf(1)]);
  await offerer.accept(answer);
  await settle();
  expect([offerer.state, answerer.state]).toEqual(["connected", "connected"]);
});

test("both sides show one stream with sound and picture", async () => {
  const { mine, theirs } = await connect();
  for (const { streams } of [mine, theirs]) {
    expect(streams.map((stream) => stream.getTracks().map(({ kind }) => kind))).toEqual([["audio", "video"]]);
  }
});

test("a beat is heard on the other side", async () => {
  const { offerer, mine, theirs } = await connect("text");
  expect([mine.beats, theirs.beats]).toEqual([1, 1]); // with the connection
  offerer.beat();
  expect([mine.beats, theirs.beats]).toEqual([1, 2]);
  offerer.beat(true);
  expect([theirs.beats, theirs.asked]).toEqual([3, 1]);
});

test("tracks come, change and go without a new negotiation, on both sides", async () => {
  const { offerer, answerer } = await connect();
  tracks = { audio: track("audio"), video: track("video") };
  for (const peer of [offerer, answerer]) {
    peer.setTrack("audio");
    peer.setTrack("video");
  }
  for (const index of [0, 1]) {
    expect(connection(index).transceivers.map(({ sender }) => sender.track)).toEqual([
      tracks.audio,
      tracks.video,
    ]);
    expect(connection(index).transceivers.map(({ direction }) => direction)).toEqual([
      "sendrecv",
      "sendrecv",
    ]);
  }
  tracks.video = null;
  offerer.setTrack("video");
  expect(connection(0).transceivers[1]?.sender.track).toBeNull();
  expect(connection(0).signalingState).toBe("stable");
});

test("a text call has nothing but the channel, whatever the stranger offers", async () => {
  const { offerer, answerer } = await connect("text");
  expect(connection(0).transceivers).toEqual([]);
  expect([offerer.channel.readyState, answerer.channel.readyState]).toEqual(["open", "open"]);

  tracks = { audio: track("audio"), video: track("video") };
  const sly = make("offerer", "video");
  const wary = make("answerer", "text");
  const told = listen(wary);
  await wary.answer(await sly.offer(), () => {});
  const [sound, picture] = connection(3).transceivers;
  expect([sound?.direction, picture?.direction]).toEqual(["inactive", "inactive"]);
  expect([sound?.sender.track, picture?.sender.track]).toEqual([null, null]);
  expect(told.streams).toEqual([]);
});

test("of several pictures in an offer only the first gets ours", async () => {
  tracks = { audio: null, video: track("video") };
  const answerer = make("answerer");
  const told = listen(answerer);
  await answerer.answer("v=0\r\na=ice-ufrag:x\r\nm=video 9 UDP 0\r\nm=video 9 UDP 0\r\n", () => {});
  connection(0).addTransceiver("video");
  await answerer.answer("v=0\r\na=ice-ufrag:y\r\nm=video 9 UDP 0\r\nm=video 9 UDP 0\r\n", () => {});
  const [first, second] = connection(0).transceivers;
  expect([first?.sender.track, first?.direction]).toEqual([tracks.video, "sendrecv"]);
  expect([second?.sender.track, second?.direction]).toEqual([null, "inactive"]);
  expect(told.streams[0]?.getTracks()).toHaveLength(1);
});

test("a restart needs a settled connection and uses new credentials", async () => {
  const { offerer, answerer, mine } = await connect();
  const before = connection(0).localUfrag;
  const offers: string[] = [];
  const sentBefore = mine.candidates.length;
  await offerer.restart((sdp) => {
    // Candidates of the new way come after the offer that makes sense of them.
    expect(mine.candidates).toHaveLength(sentBefore);
    offers.push(sdp);
  });
  expect(mine.candidates.length).toBeGreaterThan(sentBefore);
  expect(connection(0).localUfrag).not.toBe(before);
  await offerer.restart((sdp) => offers.push(sdp));
  expect(offers).toHaveLength(1);
  let answer = "";
  await answerer.answer(offers[0] ?? "", (sdp) => (answer = sdp));
  await offerer.accept(answer);
  expect(connection(0).remoteUfrag).toBe(connection(1).localUfrag);
});

test("a whole picture is sent where there is one, by browsers that can", async () => {
  const { offerer } = await connect();
  const sender = connection(0).transceivers[1]?.sender;
  offerer.sendWholePicture();
  expect(sender?.wholePictures).toBe(0);
  tracks = { audio: null, video: track("video") };
  offerer.setTrack("video");
  offerer.sendWholePicture();
  expect(sender?.wholePictures).toBe(1);
  if (sender) sender.setParameters = async () => Promise.reject(new TypeError("no such argument"));
  offerer.sendWholePicture();
  await settle();
  offerer.retire(new FakeClock());
  offerer.sendWholePicture();
  expect(sender?.wholePictures).toBe(1);
});

test("takes a bounded number of candidates", async () => {
  const answerer = make("answerer");
  const added: unknown[] = [];
  connection(0).addIceCandidate = async (candidate) => void added.push(candidate);
  for (let i = 0; i < 100; i++) answerer.addCandidates(Array(10).fill(candidateOf(0)));
  await answerer.answer("v=0\r\na=ice-ufrag:x\r\n", () => {});
  await settle();
  expect(added).toHaveLength(128);
});

test("a closed one says and does nothing any more", async () => {
  const { offerer, answerer, mine, theirs } = await connect();
  const { onconnectionstatechange, onicecandidate, ontrack } = connection(0);
  mine.states.length = mine.candidates.length = mine.streams.length = mine.beats = theirs.beats = 0;
  offerer.close();
  offerer.close();
  onconnectionstatechange?.();
  onicecandidate?.({ candidate: { candidate: "candidate:1" } });
  ontrack?.({ track: new FakeTrack("video") });
  offerer.setTrack("audio");
  offerer.configure({});
  offerer.addCandidates([candidateOf(1)]);
  await expect(offerer.restart(() => {})).rejects.toThrow("closed");
  await settle();
  offerer.beat();
  answerer.beat();
  expect(mine).toEqual({ candidates: [], states: [], streams: [], beats: 0, asked: 0 });
  expect(theirs.beats).toBe(0);
  expect(offerer.state).toBe("closed");
});

test("a retired one sends nothing from the same moment on, and is closed a little later", async () => {
  tracks = { audio: track("audio"), video: track("video") };
  const { offerer, mine } = await connect();
  const clock = new FakeClock();
  mine.states.length = 0;
  offerer.retire(clock);
  expect(connection(0).transceivers.map(({ sender }) => sender.track)).toEqual([null, null]);
  expect([offerer.state, connection(0).signalingState]).toEqual(["closed", "stable"]);
  connection(0).move("failed");
  expect(mine.states).toEqual([]);
  await clock.pass(1_000);
  expect(connection(0).signalingState).toBe("closed");
});

test("new relay credentials reach the connection that is there", () => {
  const peer = make("offerer");
  const next = { iceServers: [{ urls: "turn:example.org", username: "u", credential: "c" }] };
  peer.configure(next);
  expect(connection(0).configuration).toEqual(next);
});
