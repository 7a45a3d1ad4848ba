/**
 * Every word of the page, in English. Views hold none of their own, so that another language is another file of this
 * shape. A value is plain text or a function to plain text; nothing here is ever read as HTML.
 */
import type { EndReason, Mode, Relaxation, ReportReason } from "../../src/protocol/messages.ts";
import type { AddressHidden, Failure, Halt } from "../model/state.ts";

const number = new Intl.NumberFormat("en");
const moment = new Intl.DateTimeFormat("en", { dateStyle: "long", timeStyle: "short" });
const list = new Intl.ListFormat("en", { type: "conjunction" });

export const words = {
  tab: {
    met: (place: string) => `Somebody is here · ${place}`,
  },

  home: {
    headline: "Who’s there?",
    lead: "Press Start and talk face to face with somebody you have never met. Press Next and it is somebody else.",
    start: "Start",
    textOnly: "Text only",
    online: (n: number) => (n <= 1 ? "Only you right now" : `${number.format(n)} here now`),
    privacyTitle: "Only the two of you",
    privacy:
      "Picture, sound and words go from you to the other person, encrypted on the way. Nothing is recorded. You can block or report anybody at any time.",
  },

  interests: {
    label: "Interests",
    optional: "optional",
    placeholder: "film, cycling, Portuguese…",
    more: "add another",
    hint: "People who share one come first. Separate with commas.",
    full: "That is ten, the most there can be.",
    remove: (interest: string) => `Remove ${interest}`,
  },

  languages: {
    disclosure: "Languages",
    any: "any language",
    hint: "People who speak one of these come first.",
    add: "Add a language",
    strict: "Wait for a real match",
    strictHint: "Never look beyond these interests and languages, even if it takes long.",
    remove: (language: string) => `Remove ${language}`,
  },

  address: {
    label: "Hide my address",
    hint: "Nobody you meet learns your network address: calls take this place’s relay. They may be a little slower.",
    byPlace:
      "This place hides everybody’s address: all calls take its relay, and nobody you meet learns yours.",
    cannot: "This place has no relay, so calls go directly and the two browsers know each other’s address.",
    lacking: "This place has no relay right now, so no call can come about while this is on.",
    lackingByPlace:
      "All calls here take a relay, and there is none right now. Tell the people who run this place.",
  },

  stage: {
    looking: "Looking for somebody…",
    lookingAgain: "Looking for somebody else…",
    searchHalts: "Your search waits",
    alone: "Nobody else is here yet. Keep this page open: the moment somebody comes, you meet.",
    otherTab: "Your other tab never meets this one. To try it alone, open a private window.",
    /** `others` look as well, in whatever mode; none of them may fit, or be met again so soon. */
    lookingToo: (others: number, mode: Mode) =>
      others < 1
        ? "Nobody else is looking at this moment."
        : others === 1
          ? `One other is looking, perhaps for ${mode === "video" ? "text" : "video"} only.`
          : `${number.format(others)} others are looking as well.`,
    mayMeetAgain: "If nobody new comes soon, you may meet the last person again.",
    connecting: "Found somebody",
    connectingHint: "Connecting you two…",
    talking: "You are talking with somebody. Say hello!",
    common: (interests: string[]) => `You both like ${list.format(interests)}`,
    commonLanguage: (language: string) => `You both speak ${language}`,
    cameraOff: "Their camera is off",
    cameraOffHint: "You can still hear each other.",
    hear: "Tap to hear",
    you: "You",
    stranger: "Stranger",
    ownCameraOff: "Your camera is off",
    ownSoon: "Your own picture will be here",
    ownSilent: "Muted",
    move: "Move own picture",
    starting: "One moment…",
  },

  relaxed: {
    interests: "Nobody with your interests yet, so looking beyond them.",
    languages: "Nobody in your language yet, so looking beyond it.",
    both: "Nobody with your interests or in your language yet, so looking beyond both.",
    recent: "Few people here: it may be somebody you have already met.",
  } satisfies Record<Relaxation | "both", string>,

  ended: {
    left: "They left.",
    next: "They moved on. It happens to everybody.",
    lost: "Their connection was lost.",
    blocked: "They ended the chat.",
    removed: "They were removed from this place.",
  } satisfies Record<EndReason, string>,

  trouble: {
    reconnecting: "Reconnecting…",
    /** Calls that did not come about, or broke for good: what happened, and what helps. */
    failed: {
      noWayThrough: {
        title: "No way through",
        lines: [
          "Your two networks would not let you reach each other. It mostly works with somebody else: press Next.",
          "Does it happen again and again? Try without a VPN, or from another network, such as a phone’s hotspot.",
        ],
      },
      broken: {
        title: "The connection broke",
        lines: [
          "The way between you was lost, on your side or on theirs, and could not be mended so far.",
          "Press Next to meet somebody else.",
        ],
      },
      strangerSilent: {
        title: "No answer from them",
        lines: ["Their browser says nothing: it may be closed, or asleep. Press Next to meet somebody else."],
      },
      browserRefused: {
        title: "Your browser makes no more calls",
        lines: ["Close other tabs with calls in them, or load this page again."],
      },
    } satisfies Record<Failure, { title: string; lines: string[] }>,
    halted: {
      tooManyWindows: {
        title: "Too many windows",
        lines: [
          "This browser chats in as many windows as it may. Close one of them, and the search goes on here.",
        ],
      },
      tooFast: {
        title: "One moment",
        lines: ["There were too many searches in a short time. Yours goes on by itself."],
      },
      storeAway: {
        title: "Your search waits",
        lines: [
          "This place cannot bring people together at the moment. Your search goes on by itself as soon as it can.",
        ],
      },
    } satisfies Record<Halt, { title: string; lines: string[] }>,
    /** No way through, where only a relay may be tried. */
    failedHidden: {
      byVisitor: [
        "Your address is hidden, so only this place’s relay was tried. It mostly works with somebody else: press Next.",
        "Does it happen again and again? Switch “Hide my address” off, or try from another network.",
      ],
      byPlace: [
        "All calls here take this place’s relay, and it did not bring you together. It mostly works with somebody else: press Next.",
        "Does it happen again and again? Try from another network, or tell the people who run this place.",
      ],
    } satisfies Record<Exclude<AddressHidden, "no">, string[]>,
    noRelay: {
      title: "No call can begin right now.",
      help: {
        byVisitor:
          "Your address is hidden, and this place has no relay to hide it with. Switch “Hide my address” off to call directly, or come back later.",
        byPlace:
          "All calls here take this place’s relay, and it is away. Tell the people who run this place, or come back later.",
      } satisfies Record<Exclude<AddressHidden, "no">, string>,
    },
  },

  server: {
    reconnecting: "The server is out of reach. Trying again…",
    stillAway:
      "The server is still out of reach. Is your own internet connection all right? This page goes on by itself.",
    full: "This place is full at the moment. You get in by yourself as soon as there is room.",
    callGoesOn: "Server out of reach, your call goes on.",
    callWaits: "Server out of reach, your call waits for it.",
  },

  controls: {
    label: "Call",
    next: "Next",
    stop: "Stop",
    mute: "Mute",
    unmute: "Unmute",
    cameraOff: "Camera off",
    cameraOn: "Camera on",
    chat: "Chat",
    unread: (n: number) => `Chat, ${n} unread`,
  },

  chat: {
    label: "Conversation",
    message: "Message",
    send: "Send",
    empty: "Say hello. What you write goes only to the other person.",
    tips: {
      next: "Not your kind of chat? Press Next, no need to explain. On a keyboard, Esc does the same.",
      report: "Somebody behaves badly? The flag reports and blocks them.",
      privacy:
        "Whatever you say or show here is between the two of you. Keep your name and address to yourself all the same.",
    },
    over: "This conversation is over.",
    typing: "typing…",
    you: "You:",
    stranger: "Stranger:",
    notSent: "Not sent: there is nobody to send it to.",
  },

  report: {
    menu: "Report or block",
    report: "Report…",
    reportLast: "Report the last person…",
    block: "Block",
    blockHint: "never meet again",
    title: "What happened?",
    lead: "The people who run this place will see your report. You leave this chat at once and are not matched with this person again.",
    reasons: {
      nudity: "Nudity or sexual content",
      minor: "Looks under age",
      harassment: "Harassment or hate",
      violence: "Violence or threats",
      spam: "Spam or a scam",
      other: "Something else",
    } satisfies Record<ReportReason, string>,
    details: "Anything to add?",
    send: "Report",
    cancel: "Cancel",
    done: "Thank you, your report has arrived. You will not meet this person again.",
  },

  asking: {
    title: "May we see and hear you?",
    lead: "Your browser is asking for the camera and microphone. Choose “Allow”: only the person you talk with sees and hears you.",
  },

  media: {
    denied: {
      title: "The camera is blocked",
      short: "Allow it with the icon beside the page’s address, then try again.",
      lead: "This browser, or this device, does not let the page use the camera and microphone.",
      steps: [
        "Press the icon at the left of the address bar (on a phone: the “aA” or menu button).",
        "Set Camera and Microphone to “Allow”.",
        "Come back here and press “Try again”.",
      ],
    },
    missing: {
      title: "No camera found",
      short: "Plug one in or switch it on, then try again.",
      lead: "There is no camera or microphone that this page can use.",
      steps: ["Plug one in, or switch it on.", "Then press “Try again”."],
    },
    busy: {
      title: "The camera is in use",
      short: "Close other programs and tabs that use it, then try again.",
      lead: "Another program or tab has your camera and does not let go of it.",
      steps: [
        "Close video calls and camera programs, and other tabs of this page.",
        "Then press “Try again”.",
      ],
    },
    insecure: {
      title: "This address is not secure",
      short: "Browsers give the camera only to an address that begins with https.",
      lead: "Browsers give the camera only to pages whose address begins with https.",
      steps: [
        "Press “Open with https”, or put https:// in front of the address.",
        "If that does not work, tell the people who run this place.",
      ],
    },
    unsupported: {
      title: "No camera in this browser",
      short: "A current Firefox, Chrome, Edge or Safari has one.",
      lead: "This browser cannot give a page your camera and microphone.",
      steps: [
        "Use a current Firefox, Chrome, Edge or Safari.",
        "Inside another app? Open this page in the browser instead.",
      ],
    },
    again: "Try again",
    https: "Open with https",
    text: "Text chat instead",
    back: "Back",
  },

  unsupported: {
    title: "This browser cannot make calls",
    lead: "It lacks WebRTC, the part that carries picture, sound and words directly between two people. A current Firefox, Chrome, Edge or Safari has it. If you opened this page inside another app, open it in your browser instead.",
  },

  closed: {
    banned: {
      title: "You are banned from this place",
      until: (ms: number) => `Until ${moment.format(ms)}.`,
      forGood: "There is no end date.",
      reason: (reason: string) => `Reason: ${reason}`,
      mistake: "If you think that this is a mistake, tell the people who run this place.",
    },
    superseded: {
      title: "Open in another tab",
      lead: "This place is open somewhere else in this browser, and it works in one tab at a time.",
      action: "Use it here",
    },
    flooding: {
      title: "That was too fast",
      lead: "This page sent more than the server accepts, so the server hung up. Wait a moment, then go on.",
      action: "Go on",
    },
    violation: {
      title: "Something went wrong",
      lead: "The server did not understand this page. It may have been updated in the meantime: load the page again.",
      action: "Load again",
    },
    notAdmitted: {
      title: "You need an invitation",
      lead: "This place lets people in by invitation. Open it with the link that you were given.",
      action: "Try again",
    },
  },
};
