import type { ComponentChildren } from "preact";
import { Bubble, Camera, CameraOff, Forward, Microphone, MicrophoneOff, Square } from "../icons/icons.tsx";
import { words } from "../locales/en.ts";
import { useStore } from "./context.ts";

interface ToolProps {
  name: string;
  kind?: string;
  onClick: () => void;
  children: ComponentChildren;
}

function Tool({ name, kind = "", onClick, children }: ToolProps) {
  return (
    <button type="button" class={`tool ${kind}`} aria-label={name} title={name} onClick={onClick}>
      {children}
    </button>
  );
}

export interface ControlsProps {
  chatShown: boolean;
  unread: number;
  onChat: () => void;
}

export function Controls({ chatShown, unread, onChat }: ControlsProps) {
  const store = useStore();
  const { microphoneOn, cameraOn } = store;
  const c = words.controls;
  const partnered = store.phase.value === "connecting" || store.phase.value === "talking";
  const video = store.mode.value === "video";
  const { value: media } = store.media;
  // Where a page gets no camera at all, there is nothing to switch.
  const equipped = video && media !== "unasked" && media !== "insecure" && media !== "unsupported";

  return (
    <div class="bar" role="group" aria-label={c.label}>
      <button type="button" class="tool stop" onClick={() => store.stop()}>
        <Square />
        <span class="tool-name">{c.stop}</span>
      </button>
      <div class="tools">
        {equipped && (
          <>
            <Tool
              name={microphoneOn.value ? c.mute : c.unmute}
              kind={microphoneOn.value ? "" : "off"}
              onClick={() => store.setMicrophone(!microphoneOn.value)}
            >
              {microphoneOn.value ? <Microphone /> : <MicrophoneOff />}
            </Tool>
            <Tool
              name={cameraOn.value ? c.cameraOff : c.cameraOn}
              kind={cameraOn.value ? "" : "off"}
              onClick={() => store.setCamera(!cameraOn.value)}
            >
              {cameraOn.value ? <Camera /> : <CameraOff />}
            </Tool>
          </>
        )}
        {video && (
          <button
            type="button"
            class="tool"
            aria-label={unread ? c.unread(unread) : c.chat}
            title={c.chat}
            aria-expanded={chatShown}
            aria-controls="chat"
            onClick={onChat}
          >
            <Bubble />
            {unread > 0 && <span class="unread">{unread > 9 ? "9+" : unread}</span>}
          </button>
        )}
      </div>
      {/* Not `disabled` while nobody is there: the focus of a keyboard would be lost with every Next. */}
      <button
        type="button"
        class="button primary go"
        aria-disabled={!partnered}
        onClick={() => partnered && store.next()}
      >
        {c.next}
        <Forward />
        <kbd aria-hidden="true">Esc</kbd>
      </button>
    </div>
  );
}
