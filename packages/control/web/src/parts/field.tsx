/** Inputs with their labels. */
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

export interface FieldProps {
  readonly label: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  /** Offered while typing. */
  readonly options?: readonly string[];
  readonly placeholder?: string;
  readonly hint?: string;
  readonly type?: 'text' | 'search' | 'datetime-local';
  readonly required?: boolean;
  /** The one that `/` goes to. */
  readonly search?: boolean;
}

export function Field(props: FieldProps) {
  const { label, value, onValue, options, placeholder, hint, type = 'text', required = false, search = false } = props;
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type={type}
        value={value}
        {...(type === 'datetime-local' ? { step: 1 } : {})}
        required={required}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        {...(placeholder === undefined ? {} : { placeholder })}
        list={options === undefined ? undefined : `${id}-options`}
        {...(hint === undefined ? {} : { 'aria-describedby': `${id}-hint` })}
        {...(search ? { 'data-search': '' } : {})}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
      {options === undefined ? null : (
        <datalist id={`${id}-options`}>
          {options.map((option) => (
            <option key={option} value={option} />
          ))}
        </datalist>
      )}
      {hint === undefined ? null : (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

export interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  /** Value and what is read. */
  readonly options: readonly (readonly [string, string])[];
}

export function Choice({ label, value, onValue, options }: ChoiceProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onValue(event.currentTarget.value)}>
        {options.map(([each, words]) => (
          <option key={each} value={each}>
            {words}
          </option>
        ))}
      </select>
    </div>
  );
}

export interface TickProps {
  readonly checked: boolean;
  readonly onChecked: (checked: boolean) => void;
  readonly children: ComponentChildren;
}

export function Tick({ checked, onChecked, children }: TickProps) {
  return (
    <label class="tick">
      <input type="checkbox" checked={checked} onChange={(event) => onChecked(event.currentTarget.checked)} />
      <span>{children}</span>
    </label>
  );
}
