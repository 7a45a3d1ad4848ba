/** The small menu for the unpleasant case, and the dialog that asks what happened. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { MAX_DETAILS_CHARACTERS } from "../../src/protocol/limits.ts";
import { REPORT_REASONS, type ReportReason } from "../../src/protocol/messages.ts";
import { Barred, Flag } from "../icons/icons.tsx";
import { words } from "../locales/en.ts";
import { useStore } from "./context.ts";

function ReportDialog({ onClose }: { onClose: () => void }) {
  const store = useStore();
  const dialog = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState<ReportReason | null>(null);
  const [details, setDetails] = useState("");

  // Before the next key press can come: Escape belongs to the dialog from the moment it was asked for.
  useLayoutEffect(() => dialog.current?.showModal(), []);

  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="report-title"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <form
        method="dialog"
        onSubmit={(event) => {
          if (!reason) return event.preventDefault();
          store.report(reason, details.trim() || undefined);
        }}
      >
        <h2 id="report-title">{words.report.title}</h2>
        <p class="dialog-lead">{words.report.lead}</p>
        <div class="reasons" role="radiogroup" aria-labelledby="report-title">
          {REPORT_REASONS.map((which) => (
            <label key={which} class="reason">
              <input
                type="radio"
                name="reason"
                required
                checked={reason === which}
                onChange={() => setReason(which)}
              />
              {words.report.reasons[which]}
            </label>
          ))}
        </div>
        <label class="field-label" for="details">
          {words.report.details} <span>{words.interests.optional}</span>
        </label>
        <textarea
          id="details"
          class="details"
          rows={2}
          maxLength={MAX_DETAILS_CHARACTERS}
          value={details}
          onInput={(event) => setDetails(event.currentTarget.value)}
        />
        <div class="dialog-actions">
          <button type="button" class="button plain" onClick={() => dialog.current?.close()}>
            {words.report.cancel}
          </button>
          <button type="submit" class="button danger">
            {words.report.send}
          </button>
        </div>
      </form>
    </dialog>
  );
}

/** `past`: the stranger has gone, and may still be reported, but there is nobody left to block. */
export function ReportMenu({ past }: { past: boolean }) {
  const store = useStore();
  const [open, setOpen] = useState(false);
  const [asking, setAsking] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    if (!open) return;
    const away = (event: Event) => !root.current?.contains(event.target as Node) && setOpen(false);
    addEventListener("pointerdown", away);
    addEventListener("focusin", away);
    return () => {
      removeEventListener("pointerdown", away);
      removeEventListener("focusin", away);
    };
  }, [open]);

  return (
    <div
      ref={root}
      class="menu"
      data-covers={open ? "" : undefined}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !open) return;
        event.preventDefault();
        setOpen(false);
        button.current?.focus();
      }}
    >
      <button
        ref={button}
        type="button"
        class="tool glass"
        aria-label={words.report.menu}
        title={words.report.menu}
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <Flag />
      </button>
      {open && (
        <ul class="menu-list">
          <li>
            <button
              type="button"
              onClick={() => {
                setOpen(false);
                setAsking(true);
              }}
            >
              <Flag />
              {past ? words.report.reportLast : words.report.report}
            </button>
          </li>
          {!past && (
            <li>
              <button
                type="button"
                onClick={() => {
                  setOpen(false);
                  store.block();
                }}
              >
                <Barred />
                {words.report.block}
                <small>{words.report.blockHint}</small>
              </button>
            </li>
          )}
        </ul>
      )}
      {asking && (
        <ReportDialog
          onClose={() => {
            setAsking(false);
            button.current?.focus();
          }}
        />
      )}
    </div>
  );
}
