/** Whom the visitor would like to meet: interests as chips, languages under a disclosure; and how: with a hidden address. */
import type { Signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { MAX_INTERESTS, MAX_LANGUAGES } from "../../src/protocol/limits.ts";
import { Chevron, Cross } from "../icons/icons.tsx";
import { words } from "../locales/en.ts";
import { useStore } from "./context.ts";
import { addInterests } from "./interests.ts";
import { languageName, tellAddress } from "./status.ts";

function Chip({ text, remove, onRemove }: { text: string; remove: string; onRemove: () => void }) {
  return (
    <li class="chip">
      <span class="chip-text">{text}</span>
      <button type="button" class="chip-remove" aria-label={remove} onClick={onRemove}>
        <Cross />
      </button>
    </li>
  );
}

/**
 * `typed` is what stands in the field and is no chip yet. It stays there when the focus goes elsewhere: a chip that
 * appeared at that moment would move the button one is about to press from under the pointer.
 */
export function Interests({ typed }: { typed: Signal<string> }) {
  const store = useStore();
  const { interests } = store.preferences.value;
  const field = useRef<HTMLInputElement>(null);

  const set = (next: string[]) => store.setPreferences({ ...store.preferences.value, interests: next });
  const add = (text: string) => {
    typed.value = "";
    const next = addInterests(interests, text);
    if (next.length !== interests.length) set(next);
  };
  const remove = (interest: string) => {
    set(interests.filter((other) => other !== interest));
    field.current?.focus();
  };

  const full = interests.length >= MAX_INTERESTS;
  return (
    <div>
      <label class="field-label" for="interests">
        {words.interests.label} <span>{words.interests.optional}</span>
      </label>
      <div class="chips-box" onClick={() => field.current?.focus()}>
        {interests.length > 0 && (
          <ul class="chips">
            {interests.map((interest) => (
              <Chip
                key={interest}
                text={interest}
                remove={words.interests.remove(interest)}
                onRemove={() => remove(interest)}
              />
            ))}
          </ul>
        )}
        <input
          ref={field}
          id="interests"
          class="chips-input"
          value={typed.value}
          readOnly={full}
          placeholder={full ? "" : interests.length ? words.interests.more : words.interests.placeholder}
          aria-describedby="interests-hint"
          autocomplete="off"
          autocapitalize="none"
          enterkeyhint="done"
          maxLength={400}
          onInput={(event) => {
            const text = event.currentTarget.value;
            if (/[,;]/u.test(text)) add(text);
            else typed.value = text;
          }}
          onKeyDown={(event) => {
            if (event.isComposing) return;
            if (event.key === "Enter" && typed.value.trim()) {
              event.preventDefault();
              add(typed.value);
            } else if (event.key === "Backspace" && !typed.value && interests.length) {
              set(interests.slice(0, -1));
            }
          }}
        />
      </div>
      <p id="interests-hint" class="field-hint">
        {full ? words.interests.full : words.interests.hint}
      </p>
    </div>
  );
}

/** Languages that are offered by name; the visitor's own come first. Primary subtags of BCP 47. */
const OFFERED =
  "ar bg bn ca cs da de el en es et eu fa fi fil fr ga gl he hi hr hu id is it ja ko lt lv ms nl no pl pt ro ru sk sl sq sr sv sw ta th tr uk ur vi zh".split(
    " ",
  );

function offered(chosen: string[]): { tag: string; name: string }[] {
  const own = navigator.languages.map((tag) => tag.split("-")[0]!.toLowerCase());
  const rest = OFFERED.map((tag) => ({ tag, name: languageName(tag) })).sort((a, b) =>
    a.name.localeCompare(b.name),
  );
  const all = [...own.map((tag) => ({ tag, name: languageName(tag) })), ...rest];
  const seen = new Set(chosen);
  return all.filter(({ tag }) => !seen.has(tag) && seen.add(tag));
}

export function Languages() {
  const store = useStore();
  const preferences = store.preferences.value;
  const { languages, strict } = preferences;
  const set = (next: string[]) => store.setPreferences({ ...preferences, languages: next });

  return (
    <details class="disclosure">
      <summary>
        <span>{words.languages.disclosure}</span>
        <span class="disclosure-value">
          {languages.length ? languages.map(languageName).join(", ") : words.languages.any}
        </span>
        <Chevron />
      </summary>
      <div class="disclosure-body">
        {languages.length > 0 && (
          <ul class="chips">
            {languages.map((tag) => (
              <Chip
                key={tag}
                text={languageName(tag)}
                remove={words.languages.remove(languageName(tag))}
                onRemove={() => set(languages.filter((other) => other !== tag))}
              />
            ))}
          </ul>
        )}
        {languages.length < MAX_LANGUAGES && (
          <select
            class="select"
            aria-label={words.languages.add}
            value=""
            onChange={(event) => {
              if (event.currentTarget.value) set([...languages, event.currentTarget.value]);
              event.currentTarget.value = "";
            }}
          >
            <option value="">{words.languages.add}</option>
            {offered(languages).map(({ tag, name }) => (
              <option key={tag} value={tag}>
                {name}
              </option>
            ))}
          </select>
        )}
        <p class="field-hint">{words.languages.hint}</p>
        <label class="check">
          <input
            type="checkbox"
            checked={strict}
            onChange={(event) =>
              store.setPreferences({ ...preferences, strict: event.currentTarget.checked })
            }
          />
          <span>
            <b>{words.languages.strict}</b>
            <small>{words.languages.strictHint}</small>
          </span>
        </label>
      </div>
    </details>
  );
}

/** Locked where the visitor has no choice; whatever the reason, it stands there. */
export function HideAddress() {
  const store = useStore();
  const hidden = store.addressHidden.value;
  const { hint, locked, lacking } = tellAddress(hidden, store.relayOffered.value);
  return (
    <label class="switch" data-locked={locked} data-lacking={lacking}>
      <span>
        <b>{words.address.label}</b>
        <small id="address-hint">{hint}</small>
      </span>
      <input
        type="checkbox"
        role="switch"
        aria-label={words.address.label}
        aria-describedby="address-hint"
        checked={hidden !== "no"}
        disabled={locked}
        onChange={(event) =>
          store.setPreferences({ ...store.preferences.value, hideAddress: event.currentTarget.checked })
        }
      />
    </label>
  );
}
