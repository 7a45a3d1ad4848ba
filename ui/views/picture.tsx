/** A live picture in its window: sized to fit, mirrored if it is one's own, and asking for a tap if sound is refused. */
import { useEffect, useRef, useState } from "preact/hooks";
import { Speaker } from "../icons/icons.tsx";
import { words } from "../locales/en.ts";
import { fit } from "./fit.ts";

export interface PictureProps {
  label: string;
  stream: MediaStream | null;
  /** One's own picture: mirrored, and never heard. */
  own?: boolean;
  shown: boolean;
  /** The first frame of a stream is there. */
  onFrame?: () => void;
}

export function Picture({ label, stream, own, shown, onFrame }: PictureProps) {
  const box = useRef<HTMLDivElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const [refused, setRefused] = useState(false);

  useEffect(() => {
    const { current: element } = video;
    if (!element || element.srcObject === stream) return;
    element.srcObject = stream;
    if (!stream) return;
    // The visitor may have touched the page since the last one was refused its sound.
    if (!own) element.muted = false;
    setRefused(false);
    element.play().catch((error: DOMException) => {
      // Sound before the visitor has touched the page is refused by browsers: show the picture, and ask for a tap.
      if (own || error.name !== "NotAllowedError") return;
      element.muted = true;
      setRefused(true);
      element.play().catch(() => {});
    });
  }, [stream]);

  useEffect(() => {
    const { current: element } = video;
    const { current: frame } = box;
    // What one sees of oneself may be cut: it fills its window by the style sheet.
    if (!element || !frame || own) return;
    const resize = () => {
      const { width, height } = fit(
        { width: element.videoWidth, height: element.videoHeight },
        { width: frame.clientWidth, height: frame.clientHeight },
      );
      element.style.width = `${width}px`;
      element.style.height = `${height}px`;
    };
    const observer = new ResizeObserver(resize);
    observer.observe(frame);
    element.addEventListener("resize", resize);
    return () => {
      observer.disconnect();
      element.removeEventListener("resize", resize);
    };
  }, []);

  const hear = () => {
    if (!video.current) return;
    video.current.muted = false;
    video.current.play().catch(() => {});
    setRefused(false);
  };

  return (
    <>
      <div ref={box} class={`picture ${own ? "mirrored" : ""}`} data-shown={shown}>
        <video
          ref={video}
          aria-label={label}
          autoplay
          playsInline
          muted={own}
          disablePictureInPicture={own}
          onLoadedData={(event) => event.currentTarget.videoWidth > 0 && onFrame?.()}
        />
      </div>
      {refused && (
        <button type="button" class="button primary hear" onClick={hear}>
          <Speaker />
          {words.stage.hear}
        </button>
      )}
    </>
  );
}
