/** The written conversation. Everything in it is text: a stranger's words never become markup. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Arrow, Flag, Forward, Lock } from "../icons/icons.tsx";
import { words } from "../locales/en.ts";
import { useStore } from "./context.ts";

const MAX_TEXT = 2000;
/** Pixels from the end within which the log keeps following what is new. */
const NEAR_END = 80;

/** While there is nobody to write to. */
function Tips() {
  return (
    <ul class="tips">
      <li>
        <Forward />
        {words.chat.tips.next}
      </li>
      <li>
        <Flag />
        {words.chat.tips.report}
      </li>
      <li>
        <Lock />
        {words.chat.tips.privacy}
      </li>
    </ul>
  );
}

function Log() {
  const store = useStore();
  const log = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const lines = store.chat.value;
  const typing = store.strangerTyping.value;

  useLayoutEffect(() => {
    const { current: element } = log;
    if (element && (following.current || lines.at(-1)?.from === "you"))
      element.scrollTop = element.scrollHeight;
  }, [lines, typing]);

  // A keyboard that slides in, a message of many lines and a turned phone take room from it.
  useEffect(() => {
    const { current: element } = log;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      if (following.current) element.scrollTop = element.scrollHeight;
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  return (
    <div
      ref={log}
      class="log"
      role="log"
      aria-label={words.chat.label}
      tabIndex={lines.length ? 0 : -1}
      onScroll={({ currentTarget: element }) => {
        following.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END;
      }}
    >
      {lines.length === 0 &&
        !typing &&
        (store.chatOpen.value ? <p class="log-empty">{words.chat.empty}</p> : <Tips />)}
      {lines.map((line) => (
        <p key={line.id} class={`bubble from-${line.from}`}>
          <span class="sr-only">{line.from === "you" ? words.chat.you : words.chat.stranger} </span>
          <span>{line.text}</span>
        </p>
      ))}
      {lines.length > 0 && store.phase.value === "waiting" && <p class="log-note">{words.chat.over}</p>}
      {typing && (
        <p class="bubble from-stranger typing">
          <span class="sr-only">{words.chat.typing}</span>
          <i aria-hidden="true" />
          <i aria-hidden="true" />
          <i aria-hidden="true" />
        </p>
      )}
    </div>
  );
}

function Composer() {
  const store = useStore();
  const [text, setText] = useState("");
  const [refused, setRefused] = useState(false);
  const open = store.chatOpen.value;
  const talking = store.phase.value === "talking";

  // What was meant for one stranger is never sent to another. It stays while the connection to this one is mended.
  useEffect(() => {
    if (!talking) setText("");
  }, [talking]);
  useEffect(() => setRefused(false), [open]);

  const submit = () => {
    if (!text.trim()) return;
    const sent = store.send(text.trim());
    setRefused(!sent);
    if (sent) setText("");
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      {refused && (
        <p class="composer-note" role="alert">
          {words.chat.notSent}
        </p>
      )}
      <textarea
        class="composer-text"
        aria-label={words.chat.message}
        placeholder={words.chat.message}
        rows={1}
        maxLength={MAX_TEXT}
        value={text}
        enterkeyhint="send"
        autocomplete="off"
        onInput={(event) => {
          setText(event.currentTarget.value);
          setRefused(false);
          if (event.currentTarget.value) store.typing();
        }}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          submit();
        }}
      />
      <button
        type="submit"
        class="tool send"
        aria-label={words.chat.send}
        aria-disabled={!open || !text.trim()}
      >
        <Arrow />
      </button>
    </form>
  );
}

export function Chat() {
  return (
    <section class="chat" id="chat" aria-label={words.controls.chat}>
      <Log />
      <Composer />
    </section>
  );
}
