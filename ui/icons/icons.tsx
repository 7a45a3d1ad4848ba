/** Line icons of 24 × 24 units, drawn for this page. They are decoration: the button around them carries the name. */
import type { ComponentChildren } from "preact";

function Icon({ children, solid }: { children: ComponentChildren; solid?: boolean }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 24 24"
      fill={solid ? "currentColor" : "none"}
      stroke={solid ? "none" : "currentColor"}
      stroke-width="2"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

const capsule = <path d="M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3Z" />;
const lens = <path d="m16 10.5 4.2-2.6a.5.5 0 0 1 .8.4v7.4a.5.5 0 0 1-.8.4L16 13.5" />;

export const Microphone = () => (
  <Icon>
    {capsule}
    <path d="M5 11a7 7 0 0 0 14 0M12 18v3" />
  </Icon>
);
export const MicrophoneOff = () => (
  <Icon>
    <path d="M15 10V6a3 3 0 0 0-5.7-1.3M9 9v2a3 3 0 0 0 4.5 2.6M5 11a7 7 0 0 0 11 5.7M19 11a7 7 0 0 1-.4 2.3M12 18v3M4 4l16 16" />
  </Icon>
);
export const Camera = () => (
  <Icon>
    <rect x="3" y="6" width="13" height="12" rx="3" />
    {lens}
  </Icon>
);
export const CameraOff = () => (
  <Icon>
    <path d="M10 6h3a3 3 0 0 1 3 3v3.5M15.6 16.5A3 3 0 0 1 13 18H6a3 3 0 0 1-3-3V9a3 3 0 0 1 2.3-2.9M4 4l16 16" />
    {lens}
  </Icon>
);
export const Forward = () => (
  <Icon>
    <path d="m5 6 7 6-7 6M13 6l7 6-7 6" />
  </Icon>
);
export const Square = () => (
  <Icon solid>
    <rect x="6" y="6" width="12" height="12" rx="3" />
  </Icon>
);
export const Bubble = () => (
  <Icon>
    <path d="M8 18.5 4.5 21v-4.6A8 8 0 0 1 3 12c0-4.4 4-8 9-8s9 3.6 9 8-4 7.5-9 7.5a10 10 0 0 1-4-1Z" />
  </Icon>
);
export const Arrow = () => (
  <Icon>
    <path d="M12 20V5M6 11l6-6 6 6" />
  </Icon>
);
export const Flag = () => (
  <Icon>
    <path d="M6 21V4.5c4-2.5 7 2.5 12 0V14c-5 2.5-8-2.5-12 0" />
  </Icon>
);
export const Barred = () => (
  <Icon>
    <circle cx="12" cy="12" r="9" />
    <path d="m5.7 5.7 12.6 12.6" />
  </Icon>
);
export const Cross = () => (
  <Icon>
    <path d="M7 7l10 10M17 7 7 17" />
  </Icon>
);
export const Lock = () => (
  <Icon>
    <rect x="5" y="10.5" width="14" height="10" rx="3" />
    <path d="M8 10.5V7.5a4 4 0 0 1 8 0v3" />
  </Icon>
);
export const Chevron = () => (
  <Icon>
    <path d="m7 10 5 5 5-5" />
  </Icon>
);
export const Speaker = () => (
  <Icon>
    <path d="M4 10v4h3.5L12 18V6L7.5 10ZM15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11" />
  </Icon>
);
export const Words = () => (
  <Icon>
    <path d="M4 7h16M4 12h11M4 17h7" />
  </Icon>
);
