/**
 * The model as the views see it: puts signaling, search, call, chat and camera together. The node decides what state
 * the session is in; the visitor decides what is wanted. Whenever a `welcome` comes the two are compared and the
 * difference is sent, so nothing needs to be remembered of messages that a broken socket swallowed.
 */
import { computed, effect } from "@preact/signals";
import { MAX_DETAILS_CHARACTERS } from "../../src/protocol/limits.ts";
import type { Block, EndReason, Matched, Mode, Report } from "../../src/protocol/messages.ts";
import type { ReportReason, Role, ServerMessage, Waiting, Welcome } from "../../src/protocol/messages.ts";
import type { Browser } from "./browser.ts";
import type { EndOfCall } from "./call-record.ts";
import type { Beginning, CallState } from "./call-setup.ts";
import { Chat } from "./chat.ts";
import { Crowd } from "./crowd.ts";
import { Ice } from "./ice.ts";
import type { KeptCall, KeptSession } from "./kept.ts";
import * as kept from "./kept.ts";
import { Media } from "./media.ts";
import { OngoingCall } from "./ongoing-call.ts";
import { SPARE_AFTER_MS } from "./patience.ts";
import { Peer } from "./peer.ts";
import { Search } from "./search.ts";
import { newlyShown } from "./shown.ts";
import { Signaling } from "./signaling.ts";
import { Spare } from "./spare.ts";
import type { CallTrouble, Preferences, ServerLink, Store } from "./state.ts";
import { Tabs } from "./tabs.ts";

/** What a match and a resumed pair have in common. */
type Found = Pick<Matched, "pair" | "role" | "common">;

/** Opens the connection to the node at once, so that a visitor sees who is there before pressing Start. */
export function createStore(browser: Browser): Store {
  const { clock, random } = browser;
  const calm: CallTrouble | null = browser.newConnection ? null : "unsupported";

  const shown = newlyShown(browser.placeName, kept.keptPreferences(browser.siteStorage), calm);
  const { phase, mode, server, placeName, relaxed, common, ended, trouble } = shown;
  const { remoteStream, preferences, reported, mayMeetAgain } = shown;

  /** What the last page of this tab left; the first `welcome` decides about it. */
  let before: KeptSession | null = kept.takeSession(browser.tabStorage);
  let resume = before?.resume;
  const device = kept.deviceToken(browser.siteStorage, browser.randomToken);
  // Pages that do not share the token may meet each other: they are no tabs of one visitor.
  const crowd = new Crowd(new Tabs(browser.openChannel(`chatrandom.${device}`), browser.randomToken()));
  const lang = kept.isLanguageTag(browser.language) ? browser.language : undefined;
  const ice = new Ice(() => preferences.value.hideAddress);

  const media = new Media({
    devices: browser.devices,
    secure: browser.secure,
    newStream: browser.newStream,
    microphoneAllowed: browser.microphoneAllowed,
    onTrack(kind) {
      ongoing.call?.setTrack(kind);
      spare.setTrack(kind);
      chat.tellSending();
    },
  });
  const chat = new Chat(clock, () => ({ camera: media.sends("video"), microphone: media.sends("audio") }));
  const spare = new Spare(clock, (wanted) => newPeer(wanted, "offerer", ice.relayOnly));
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
    relayOnly: () => ice.relayOnly,
    send: (find) => signaling.send(find),
  });

  const ongoing = new OngoingCall({
    clock,
    newPeer,
    reachable: () => signaling.open,
    media: () => media.state.value,
    onState: onCallState,
    onStream: (stream) => (remoteStream.value = stream),
    onChannel: (channel) => chat.attach(channel),
    send: (message) => signaling.send(message),
  });

  function newPeer(wanted: Mode, role: Role, hidden: boolean): Peer {
    const { newConnection, newStream } = browser;
    const configuration = ice.configuration(hidden);
    if (!newConnection || ice.relayOffered.value === null) throw new Error("no connection can be made");
    const discretion = () => ice.discretion(hidden);
    const tracks = () => media.tracks;
    return new Peer({ mode: wanted, role, configuration, discretion, newConnection, newStream, tracks });
  }

  // What the node says

  function onLink(link: ServerLink): void {
    server.value = link;
    ongoing.call?.setReachable(link.state === "open");
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
        if (message.type === "waiting") onWaiting(message);
        else if (crowd.isCounted) crowd.looking(message.waiting);
        return crowd.here(message.online);
      case "matched":
        return onMatched(message);
      case "signal":
        if (ongoing.pair === message.pair) ongoing.call?.receive(message.data);
        return;
      case "ended":
        if (ongoing.pair === message.pair) onEnded(message.reason);
        return;
      case "ice":
        ice.renew(message.iceServers);
        return configure();
      case "reported":
        if (!ongoing.call && message.pair === ongoing.lastPair) reported.value = true;
        return;
      case "error":
        trouble.value = search.refused(message) ?? trouble.value;
        return;
    }
  }

  function onWelcome(welcome: Welcome): void {
    resume = welcome.resume;
    crowd.here(welcome.online);
    if (welcome.settings.name) placeName.value = welcome.settings.name;
    const { state, pair } = welcome;
    ice.welcome(welcome);
    configure();
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
    } else if (state === "paired" && pair && pair !== ongoing.lastPair) {
      if (ongoing.pair !== pair) resumeCall(welcome, pair, reloaded?.call);
    } else if (ongoing.call && state === "idle") {
      onEnded("lost");
    } else {
      endCall("lost");
      look(state === "waiting");
    }
  }

  function onWaiting(message: Waiting): void {
    if (phase.value === "home" || phase.value === "starting") return;
    search.waits();
    relaxed.value = message.relaxed;
    crowd.looking(message.waiting);
    // The match was undone, the other side could not be reached; our ticket is back at its place.
    endCall("lost");
    trouble.value = calm;
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
    endCall(reason);
    if (reason === "blocked" || reason === "removed") mayMeetAgain.value = false;
    ended.value = reason;
    look();
  }

  function configure(): void {
    const { call } = ongoing;
    call?.configure(ice.configuration(call.relayOnly));
    spare.configure(ice.configuration(ice.relayOnly));
  }

  // From one state to the next

  /** Nobody is found who would then wait in vain. */
  function relayLacks(): boolean {
    if (!ice.relayLacks) return false;
    if (phase.value !== "home") stop();
    trouble.value = "noRelay";
    return true;
  }

  function look(again = false): void {
    if (relayLacks()) return;
    phase.value = "waiting";
    trouble.value = calm;
    relaxed.value = [];
    crowd.asked();
    search.begin(mode.value, again);
  }

  function beginCall(match: Found, generation: number, beginning: Beginning): void {
    endCall("next");
    search.end();
    chat.begin();
    ended.value = null;
    reported.value = false;
    trouble.value = calm;
    common.value = match.common;
    phase.value = "connecting";
    const { pair, role } = match;
    ongoing.begin({ pair, role, mode: mode.value, relayOnly: ice.relayOnly, generation, beginning });
  }

  function onCallState(state: CallState): void {
    if (state === "connected") {
      phase.value = "talking";
      trouble.value = null;
      const talking = ongoing.call;
      clock.after(SPARE_AFTER_MS, () => {
        if (ongoing.call === talking) void spare.prepare(mode.value);
      });
    } else if (state === "interrupted" || state === "failed") {
      trouble.value = ongoing.troubleIn(state) ?? trouble.value;
    }
  }

  const endCall = (why: EndOfCall): void => detachCall(why)();

  /** Takes the call off the page; what it returns ends it. */
  function detachCall(why: EndOfCall): () => void {
    const close = ongoing.detach(why);
    if (!close) return () => {};
    mayMeetAgain.value = true;
    chat.detach();
    remoteStream.value = null;
    common.value = null;
    trouble.value = calm;
    return close;
  }

  /** Ends the call on the visitor's wish and looks for the next partner. The `find` goes out before the work of closing. */
  function goOn(farewell?: Block | Report): void {
    const close = detachCall("stopped");
    ended.value = null;
    if (farewell) {
      signaling.send(farewell);
      mayMeetAgain.value = false;
    }
    look();
    close();
  }

  function goHome(): void {
    search.end();
    endCall("stopped");
    spare.close();
    media.release();
    relaxed.value = [];
    ended.value = null;
    trouble.value = calm;
    phase.value = "home";
  }

  // What the visitor does

  function start(wanted: Mode): void {
    if (calm || relayLacks() || (phase.value !== "home" && mode.value === wanted)) return;
    search.end();
    trouble.value = null;
    // Nobody is kept waiting, or found, while the browser asks for the camera.
    if (phase.value !== "home") signaling.send({ type: "leave" });
    endCall("stopped");
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
    goHome();
  }

  function report(reason: ReportReason, details?: string): void {
    const pair = ongoing.reportable;
    if (!pair) return;
    const told = [...(details?.trim() ?? "")].slice(0, MAX_DETAILS_CHARACTERS).join("");
    const message: Report = { type: "report", pair, reason, details: told || undefined };
    if (ongoing.call) return goOn(message);
    signaling.send(message);
    mayMeetAgain.value = false;
  }

  function setPreferences(wanted: Preferences): void {
    const hidden = ice.relayOnly;
    preferences.value = kept.withinLimits(wanted);
    kept.keepPreferences(browser.siteStorage, preferences.value);
    if (ice.relayOnly !== hidden) {
      // The call that is up stays as it is; the next one is made anew.
      spare.close();
      if (trouble.value === "noRelay") trouble.value = null;
      if (phase.value === "talking") void spare.prepare(mode.value);
    }
    if (phase.value === "waiting" && !relayLacks()) search.change(mode.value);
  }

  browser.onHint((hint) => signaling.hint(hint));
  effect(() => crowd.follow(phase.value, server.value.state === "open"));
  browser.onLeave(() => {
    crowd.leave();
    const lastWord = ongoing.lastWord();
    if (lastWord) signaling.send(lastWord);
    if (!resume) return;
    kept.keepSession(browser.tabStorage, {
      resume,
      mode: phase.value === "home" ? undefined : mode.value,
      call: ongoing.call && common.value ? { ...ongoing.call.remembered, common: common.value } : undefined,
    });
  });
  signaling.connect();

  return {
    ...shown,
    online: crowd.online,
    othersLooking: crowd.othersLooking,
    otherTab: crowd.otherTab,
    media: media.state,
    localStream: media.stream,
    microphoneOn: media.microphoneOn,
    cameraOn: media.cameraOn,
    strangerCameraOn: computed(() => mode.value === "video" && chat.stranger.value.camera),
    chat: chat.lines,
    chatOpen: chat.open,
    strangerTyping: chat.strangerTyping,
    addressHidden: ice.addressHidden,
    relayOffered: ice.relayOffered,
    start,
    next: () => void (ongoing.call && goOn()),
    stop,
    send: (text) => chat.send(text),
    typing: () => chat.typing(),
    setMicrophone: (on) => media.setMicrophone(on),
    setCamera: (on) => media.setCamera(on),
    setPreferences,
    pictureShown: () => ongoing.picture(),
    block: () => void (ongoing.pair && goOn({ type: "block", pair: ongoing.pair })),
    report,
    retryMedia: askForMedia,
    reconnect: () => signaling.connect(),
  };
}
