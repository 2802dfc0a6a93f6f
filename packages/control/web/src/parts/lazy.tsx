/** A view whose code is fetched when it is first opened. */
import { useSignal } from '@preact/signals';
import type { ComponentChildren, ComponentType } from 'preact';
import { useLayoutEffect } from 'preact/hooks';
import { Problem } from './notice.tsx';

export function lazy<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
): (props: Props) => ComponentChildren {
  return function Lazy(props: Props) {
    const view = useSignal<{ readonly View: ComponentType<Props> } | 'failed' | undefined>(undefined);
    // Before the paint: code that was fetched already is there without a flash.
    useLayoutEffect(() => {
      load().then(
        (View) => {
          view.value = { View };
        },
        () => {
          view.value = 'failed';
        },
      );
    }, []);
    if (view.value === undefined) {
      return (
        <p class="waiting" role="status">
          Opening…
        </p>
      );
    }
    if (view.value === 'failed') {
      return <Problem>This view could not be fetched from control. Reload the page to try again.</Problem>;
    }
    const { View } = view.value;
    return <View {...props} />;
  };
}
