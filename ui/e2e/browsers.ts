/** The browsers that the system has, with cameras and microphones that need no hardware. */
import { chromium, firefox } from "playwright-core";
import type { Browser } from "playwright-core";

const CHROMIUM = "/usr/bin/chromium";

/**
 * Debian's Chromium. As root, as in a container, it runs only without its sandbox. `more` are further arguments; another
 * `executablePath` is that of a script which starts it somewhere else.
 */
export const launchChromium = (more: string[] = [], executablePath = CHROMIUM): Promise<Browser> =>
  chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      "--allow-loopback-in-peer-connection",
      "--autoplay-policy=no-user-gesture-required",
      ...more,
    ],
  });

/** Debian's Firefox ESR. */
export const launchFirefox = (): Promise<Browser> =>
  firefox.launch({
    channel: "moz-firefox",
    executablePath: "/usr/bin/firefox-esr",
    firefoxUserPrefs: {
      "media.navigator.streams.fake": true,
      "media.navigator.permission.disabled": true,
      "media.autoplay.default": 0,
      // Without a sound device an AudioContext ends the process.
      "media.cubeb.force_mock_context": true,
    },
  });
