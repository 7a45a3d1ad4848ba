/**
 * The model as the views see it: puts signaling, search, call, chat and camera together. The node decides what state
 * the session is in; the visitor decides what is wanted. Whenever a `welcome` comes the two are compared and the
 * difference is sent, so nothing needs to be remembered of messages that a broken socket swallowed.
 */
import { computed, signal } from "@preact/signals";
import { MAX_DETAILS_CHARACTERS, REPORT_AFTER_END_MS } from "../../src/protocol/limits.ts";
import type { Block, Common, EndReason, Matched, Mode, Relaxation } from "../../src/protocol/messages.ts";
import type { Report, ReportReason, Role, ServerMessage, Welcome } from "../../src/protocol/messages.ts";
import type { Browser } from "./browser.ts";
import type { Beginning, CallState } from "./call.ts";
import { Call } from "./call.ts";
import { Chat } from "./chat.ts";
import type { KeptCall, KeptSession } from "./kept.ts";
import * as kept from "./kept.ts";
import { Media } from "./media.ts";
import { Peer } from "./peer.ts";
import { Search } from "./search.ts";
import { Signaling } from "./signaling.ts";
import { Spare } from "./spare.ts";
import type { CallTrouble, Phase, Preferences, ServerLink, Store } from "./state.ts";

/** The offer for Next is made when the call has settled, not while its first frames are decoded. */
const SPARE_AFTER_MS = 1_000;

/** What a match and a resumed pair have in common. */
type Found = Pick<Matched, "pair" | "role" | "common">;

/** Opens the connection to the node at once, so that a visitor sees who is there before pressing Start. */
export function createStore(browser: Browser): Store {
  const { clock, random } = browser;
  const calm: CallTrouble | null = browser.newConnection ? null : "unsupported";

  const phase = signal<Phase>("home");
  const mode = signal<Mode>("video");
  const server = signal<ServerLink>({ state: "connecting" });
  const placeName = signal("ChatRandom");
  const online = signal<number | null>(null);
  const waiting = signal<number | null>(null);
  const relaxed = signal<Relaxation[]>([]);
  const common = signal<Common | null>(null);
  const ended = signal<EndReason | null>(null);
  const trouble = signal<CallTrouble | null>(calm);
  const remoteStream = signal<MediaStream | null>(null);
  const preferences = signal<Preferences>(kept.keptPreferences(browser.siteStorage));
  const reported = signal(false);

  /** What the last page of this tab left; the first `welcome` decides about it. */
  let before: KeptSession | null = kept.takeSession(browser.tabStorage);
  let resume = before?.resume;
  const device = kept.deviceToken(browser.siteStorage, browser.randomToken);
  const lang = kept.isLanguageTag(browser.language) ? browser.language : undefined;
  /** From `welcome`; before that there can be no peer connection. */
  let configuration: RTCConfiguration | null = null;
  let call: Call | null = null;
  /** The last pair that is over for this page, and since when: what the node says of it is late. */
  let last: { pair: string; at: number } | null = null;

  const media = new Media({
    devices: browser.devices,
    secure: browser.secure,
    newStream: browser.newStream,
    microphoneAllowed: browser.microphoneAllowed,
    onTrack(kind) {
      call?.setTrack(kind);
      spare.setTrack(kind);
      chat.tellSending();
    },
  });
  const chat = new Chat(clock, () => ({ camera: media.sends("video"), microphone: media.sends("audio") }));
  const spare = new Spare(clock, (wanted) => newPeer(wanted, "offerer"));
  const signaling = new Signaling({
    openSocket: browser.openSocket,
    clock,
    random,
    hello: () => ({ resume, device, lang }),
    onLink,
    onMessage,
  });
  const search = new Search({
    clock,
    random,
    spare,
    preferences: () => preferences.value,
    canSend: () => signaling.open,
    send: (find) => signaling.send(find),
  });

  function newPeer(wanted: Mode, role: Role): Peer {
    const { newConnection, newStream } = browser;
    if (!newConnection || !configuration) throw new Error("no connection can be made");
    const tracks = () => media.tracks;
    return new Peer({ mode: wanted, role, configuration, newConnection, newStream, tracks });
  }

  // What the node says

  function onLink(link: ServerLink): void {
    server.value = link;
    call?.setReachable(link.state === "open");
    if (link.state !== "closed") return;
    // The session goes on in another tab, so this one must not take it back.
    if (link.why === "superseded") resume = undefined;
    goHome();
  }

  function onMessage(message: ServerMessage): void {
    switch (message.type) {
      case "welcome":
        return onWelcome(message);
      case "waiting":
      case "status":
        online.value = message.online;
        waiting.value = message.waiting;
        if (message.type === "waiting") onWaiting(message.relaxed);
        return;
      case "matched":
        return onMatched(message);
      case "signal":
        if (call?.pair === message.pair) call.receive(message.data);
        return;
      case "ended":
        if (call?.pair === message.pair) onEnded(message.reason);
        return;
      case "ice":
        return configure({ ...configuration, iceServers: message.iceServers });
      case "reported":
        if (!call && message.pair === last?.pair) reported.value = true;
        return;
      case "error":
        return search.refused(message);
    }
  }

  function onWelcome(welcome: Welcome): void {
    resume = welcome.resume;
    online.value = welcome.online;
    if (welcome.settings.name) placeName.value = welcome.settings.name;
    const { iceServers, iceTransportPolicy, state, pair } = welcome;
    configure({ iceServers, iceTransportPolicy, bundlePolicy: "max-bundle" });
    const reloaded = before;
    before = null;
    if (reloaded?.mode && welcome.resumed && state !== "idle" && phase.value === "home" && !calm) {
      mode.value = welcome.mode ?? reloaded.mode;
      phase.value = "waiting";
      // The call does not wait for the camera: tracks join it when they come.
      if (mode.value === "video") void media.acquire();
    }
    if (phase.value === "home") {
      if (state !== "idle") signaling.send({ type: "leave" });
    } else if (phase.value === "starting") {
      // The `find` comes when the camera is there, and ends whatever the session is in.
    } else if (state === "paired" && pair && pair !== last?.pair) {
      if (call?.pair !== pair) resumeCall(welcome, pair, reloaded?.call);
    } else if (call && state === "idle") {
      onEnded("lost");
    } else {
      detachCall()?.close();
      look();
    }
  }

  function onWaiting(relaxations: Relaxation[]): void {
    if (phase.value === "home" || phase.value === "starting") return;
    search.end();
    relaxed.value = relaxations;
    // The match was undone, the other side could not be reached; our ticket is back at its place.
    detachCall()?.close();
    phase.value = "waiting";
  }

  function onMatched(match: Matched): void {
    // One for a ticket that was given up: the node will have heard so by now.
    if (phase.value === "home" || phase.value === "starting" || match.mode !== mode.value) return;
    const { role, offer, offerUsed = false } = match;
    const ready = role === "offerer" ? spare.take(match.mode, offerUsed) : null;
    spare.retire();
    beginCall(match, 0, { kind: "matched", spare: ready, offerUsed, offer });
  }

  function resumeCall(welcome: Welcome, pair: string, left: KeptCall | undefined): void {
    const known = left?.pair === pair ? left : undefined;
    const role = welcome.role ?? known?.role;
    // Matched while this page was away, and nothing says how: there is nothing to build a call on.
    if (!role) return look();
    if (welcome.mode) mode.value = welcome.mode;
    spare.retire();
    const shared = welcome.common ?? known?.common ?? { interests: [] };
    // An offer that travelled with `find` may have become generation 1, and nobody has its peer any more.
    beginCall({ pair, role, common: shared }, known?.generation ?? 1, { kind: "resumed" });
  }

  function onEnded(reason: EndReason): void {
    detachCall()?.close();
    ended.value = reason;
    look();
  }

  function configure(next: RTCConfiguration): void {
    configuration = next;
    call?.configure(next);
    spare.configure(next);
  }

  // From one state to the next

  function look(): void {
    phase.value = "waiting";
    relaxed.value = [];
    search.begin(mode.value);
  }

  function beginCall(match: Found, generation: number, beginning: Beginning): void {
    detachCall()?.close();
    search.end();
    chat.begin();
    ended.value = null;
    reported.value = false;
    common.value = match.common;
    phase.value = "connecting";
    const begun = new Call({
      pair: match.pair,
      role: match.role,
      mode: mode.value,
      generation,
      newPeer,
      clock,
      events: {
        state: onCallState,
        stream: (stream) => (remoteStream.value = stream),
        channel: (channel) => chat.attach(channel),
        signal: (data) => signaling.send({ type: "signal", pair: match.pair, data: { ...data } }),
      },
    });
    call = begun;
    begun.begin(beginning);
  }

  function onCallState(state: CallState): void {
    if (state === "connected") {
      phase.value = "talking";
      trouble.value = null;
      const talking = call;
      clock.after(SPARE_AFTER_MS, () => {
        if (call === talking) void spare.prepare(mode.value);
      });
    } else if (state === "interrupted" || state === "failed") {
      trouble.value = state === "failed" ? "noWayThrough" : "reconnecting";
    }
  }

  /** Takes the call off the page; who called it closes it, right away or after something that is in more of a hurry. */
  function detachCall(): Call | null {
    const detached = call;
    if (!detached) return null;
    call = null;
    last = { pair: detached.pair, at: clock.now() };
    chat.detach();
    remoteStream.value = null;
    common.value = null;
    trouble.value = calm;
    return detached;
  }

  /** Ends the call on the visitor's wish and looks for the next partner. The `find` goes out before the work of closing. */
  function goOn(farewell?: Block | Report): void {
    const old = detachCall();
    ended.value = null;
    if (farewell) signaling.send(farewell);
    look();
    old?.close();
  }

  function goHome(): void {
    search.end();
    detachCall()?.close();
    spare.close();
    media.release();
    relaxed.value = [];
    phase.value = "home";
  }

  // What the visitor does

  function start(wanted: Mode): void {
    if (calm || (phase.value !== "home" && mode.value === wanted)) return;
    search.end();
    // Nobody is kept waiting, or found, while the browser asks for the camera.
    if (phase.value !== "home") signaling.send({ type: "leave" });
    detachCall()?.close();
    mode.value = wanted;
    ended.value = null;
    reported.value = false;
    if (wanted === "text") {
      media.release();
      return look();
    }
    phase.value = "starting";
    void spare.prepare(wanted);
    askForMedia();
  }

  /** With neither camera nor microphone a video call stays at `starting`: the visitor tries again or takes text. */
  function askForMedia(): void {
    void media.acquire().then(() => {
      if (phase.value === "starting" && (media.stream.value || media.state.value === "unasked")) look();
    });
  }

  function stop(): void {
    if (phase.value === "home") return;
    signaling.send({ type: "leave" });
    ended.value = null;
    goHome();
  }

  function block(): void {
    if (call) goOn({ type: "block", pair: call.pair });
  }

  function report(reason: ReportReason, details?: string): void {
    const recent = last && clock.now() - last.at < REPORT_AFTER_END_MS ? last.pair : undefined;
    const pair = call?.pair ?? recent;
    if (!pair) return;
    const told = [...(details?.trim() ?? "")].slice(0, MAX_DETAILS_CHARACTERS).join("");
    const message: Report = { type: "report", pair, reason, details: told === "" ? undefined : told };
    if (call) goOn(message);
    else signaling.send(message);
  }

  function setPreferences(wanted: Preferences): void {
    preferences.value = kept.withinLimits(wanted);
    kept.keepPreferences(browser.siteStorage, preferences.value);
    if (phase.value === "waiting") search.begin(mode.value);
  }

  browser.onHint((hint) => signaling.hint(hint));
  browser.onLeave(() => {
    if (!resume) return;
    kept.keepSession(browser.tabStorage, {
      resume,
      mode: phase.value === "home" ? undefined : mode.value,
      call: call && common.value ? { ...call.remembered, common: common.value } : undefined,
    });
  });
  signaling.connect();

  return {
    phase,
    mode,
    server,
    placeName,
    online,
    waiting,
    relaxed,
    common,
    ended,
    trouble,
    media: media.state,
    localStream: media.stream,
    remoteStream,
    microphoneOn: media.microphoneOn,
    cameraOn: media.cameraOn,
    strangerCameraOn: computed(() => mode.value === "video" && chat.stranger.value.camera),
    chat: chat.lines,
    chatOpen: chat.open,
    strangerTyping: chat.strangerTyping,
    preferences,
    reported,
    start,
    next: () => void (call && goOn()),
    stop,
    send: (text) => chat.send(text),
    typing: () => chat.typing(),
    setMicrophone: (on) => media.setMicrophone(on),
    setCamera: (on) => media.setCamera(on),
    setPreferences,
    block,
    report,
    retryMedia: askForMedia,
    reconnect: () => signaling.connect(),
  };
}
