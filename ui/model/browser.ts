/** Everything of a browser that the model uses, as one interface, and the real one. */
import { SUBPROTOCOL } from "../../src/protocol/messages.ts";
import type { Clock } from "./clock.ts";
import type { KeyValues } from "./kept.ts";
import type { Hint, Socket } from "./signaling.ts";
import type { Channel } from "./tabs.ts";

export interface Browser {
  openSocket(): Socket;
  /** Null in a browser without calls. */
  newConnection: ((configuration: RTCConfiguration) => RTCPeerConnection) | null;
  newStream(tracks?: MediaStreamTrack[]): MediaStream;
  devices: Pick<MediaDevices, "getUserMedia"> | null;
  /** Whether the page is on https or this machine; elsewhere browsers hide the devices. */
  secure: boolean;
  microphoneAllowed(): Promise<boolean>;
  clock: Clock;
  /** In [0, 1). */
  random(): number;
  /** At least 128 random bits. */
  randomToken(): string;
  /** Lives as long as the tab, and as long as the browser's profile; null where forbidden. */
  tabStorage: KeyValues | null;
  siteStorage: KeyValues | null;
  /** To the other tabs of this browser that open one of the same name; null where forbidden. */
  openChannel(name: string): Channel | null;
  /** What the document calls the place, until the node says it. */
  placeName: string;
  /** Of the browser, as BCP 47 or what it takes for that. */
  language: string;
  onHint(listener: (hint: Hint) => void): void;
  /** The page goes away: reload, another address, tab closed. */
  onLeave(listener: () => void): void;
}

export function thisBrowser(): Browser {
  const socketUrl = new URL("ws", document.baseURI);
  socketUrl.protocol = socketUrl.protocol === "https:" ? "wss:" : "ws:";
  return {
    openSocket: () => new WebSocket(socketUrl, SUBPROTOCOL),
    newConnection:
      typeof RTCPeerConnection === "function"
        ? (configuration) => new RTCPeerConnection(configuration)
        : null,
    newStream: (tracks = []) => new MediaStream(tracks),
    // Not there on a page that is not secure, whatever its type says.
    devices: (navigator.mediaDevices as MediaDevices | undefined) ?? null,
    secure: window.isSecureContext,
    microphoneAllowed,
    clock: {
      now: () => performance.now(),
      after(ms, run) {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
    },
    random: Math.random,
    randomToken,
    tabStorage: storage(() => window.sessionStorage),
    siteStorage: storage(() => window.localStorage),
    openChannel(name) {
      try {
        return new BroadcastChannel(name);
      } catch {
        return null;
      }
    },
    placeName: document.title,
    language: navigator.language,
    onHint(listener) {
      window.addEventListener("online", () => listener("online"));
      window.addEventListener("offline", () => listener("offline"));
      document.addEventListener("visibilitychange", () => {
        if (document.visibilityState === "visible") listener("visible");
      });
    },
    onLeave(listener) {
      window.addEventListener("pagehide", listener);
    },
  };
}

async function microphoneAllowed(): Promise<boolean> {
  try {
    const status = await navigator.permissions.query({ name: "microphone" as PermissionName });
    return status.state === "granted";
  } catch {
    return false; // some browsers do not tell
  }
}

/** `crypto.randomUUID` is hidden on pages that are not secure; this is not. */
function randomToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function storage(get: () => Storage): KeyValues | null {
  try {
    return get();
  } catch {
    return null;
  }
}
