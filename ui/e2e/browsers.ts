/** The browsers that the system has, with cameras and microphones that need no hardware. */
import { chromium, firefox } from "playwright-core";
import type { Browser } from "playwright-core";

const CHROMIUM = "/usr/bin/chromium";

export interface LaunchOptions {
  /** Further arguments. */
  args?: string[];
  /** A script that starts it somewhere else. */
  executablePath?: string;
  /** Its HOME, with the authorities that it trusts beside its maker's; see `trustIn`. */
  home?: string;
}

/** Debian's Chromium. As root, as in a container, it runs only without its sandbox. */
export const launchChromium = ({
  args = [],
  executablePath = CHROMIUM,
  home,
}: LaunchOptions = {}): Promise<Browser> =>
  chromium.launch({
    executablePath,
    env: { ...process.env, ...(home && { HOME: home }) },
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
      ...args,
    ],
  });

/** Debian's Firefox ESR. `profile` is a folder to run in, with the authorities that it trusts; see `trustIn`. */
export async function launchFirefox(
  profile?: string,
  preferences: Record<string, string> = {},
): Promise<Browser> {
  const options = {
    channel: "moz-firefox",
    executablePath: "/usr/bin/firefox-esr",
    firefoxUserPrefs: {
      "media.navigator.streams.fake": true,
      "media.navigator.permission.disabled": true,
      "media.autoplay.default": 0,
      // Without a sound device an AudioContext ends the process.
      "media.cubeb.force_mock_context": true,
      ...preferences,
    },
  };
  if (profile === undefined) return firefox.launch(options);
  return (await firefox.launchPersistentContext(profile, options)).browser()!;
}
